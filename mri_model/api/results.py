"""Questions to the results database, exports and deletions."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri_model import steps
from mri_model.api.runner import DIRECT, StepRunner
from mri_model.models.choice import BEST, LATEST, unusable_models
from mri_model.options import CHAMPION, MODEL_PARAMETERS
from mri_model.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from mri_model.results.deletion import Deletion
    from mri_model.results.questions import Question
    from mri_model.results.subjects import Answer


def query(settings: Settings, name: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
    """The answer to a named question.

    Args:
        parameters: Parameter → value, for those that are not to have their default.

    Raises:
        UsageError: There is no such question, it has no such parameter, or a value is not what it must be.
        MriError: There is no such model or class.
    """
    return ask(settings, name, parameters).rows


def ask(settings: Settings, name: str, parameters: Mapping[str, Any] | None = None) -> "Answer":
    """As ``query``, with what the answer is about and, if it has no rows, why.

    A model may also be named ``champion``, ``best`` or ``latest``, as for evaluation and scoring.
    """
    given = {key: named_model(settings, key, value) for key, value in (parameters or {}).items()}
    with steps.open_store(settings) as store:
        return store.ask(name, **given)


def named_model(settings: Settings, parameter: str, value: Any) -> Any:
    """The id of the model that a parameter names by such a word; any other value as it is."""
    if parameter in MODEL_PARAMETERS and value in (CHAMPION, BEST, LATEST):
        return steps.choose_model(settings, value).name
    return value


def list_models(settings: Settings) -> "Answer":
    """The answer to the question ``models``, with the status ``unusable`` where the folder here cannot be used."""
    answer = ask(settings, "models")
    unusable = answer.rows["id"].isin(unusable_models(settings.models))
    return replace(answer, rows=answer.rows.assign(status=answer.rows["status"].mask(unusable, "unusable")))


def list_questions() -> "dict[str, Question]":
    """All questions by name: what each asks, and its parameters."""
    from mri_model.results.questions import questions

    return questions()


def find_question(name: str) -> "Question":
    """A question by its name. Raises UsageError if there is none; the hint names similar ones."""
    from mri_model.results import questions

    return questions.find_question(name)


def export(settings: Settings, folder: Path, run: StepRunner = DIRECT) -> dict[str, int]:
    """Every table of the results database as ``<table>.parquet``, in a folder that must not exist or be empty.

    Returns:
        Table name → number of rows.
    """
    with steps.open_store(settings) as store:
        return store.export(folder, run.progress)


def plan_deletion(settings: Settings, name: str) -> "Deletion":
    """What ``delete`` removes: the rows and files of a model, sweep or scoring run, by its id or the start of one.

    Raises:
        RefusedError: If the champion would go.
    """
    return steps.plan_deletion(settings, name)


def delete(settings: Settings, deletion: "Deletion") -> None:
    """Delete the rows, in one transaction, then the files."""
    steps.delete_rows(settings, deletion)
    steps.delete_files(deletion)


def check_database(settings: Settings) -> str:
    """Open the results database; returns its URL without the password."""
    from mri_model.results.url import parse, shown

    steps.check_database(settings)
    return shown(parse(settings.results_url))
