"""The steps of deleting a model or a scoring run."""

import glob
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.errors import MriError
from mri_model.files import is_locked, safe_name
from mri_model.settings import Settings
from mri_model.steps.database import open_store
from mri_model.steps.pages import report_page

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.results.deletion import Deletion


def plan_deletion(settings: Settings, name: str) -> "Deletion":
    """The rows and files of a model, with the page about it, or of a scoring run.

    A model folder goes whatever is in it: it may be damaged, of an older format or not recorded. So do evaluations of
    the model that wait for the database.
    """
    from mri_model.results.deletion import plan
    from mri_model.results.unrecorded import find_unrecorded

    folders = [each.name for each in settings.models.glob("[!.]*") if each.is_dir()]
    with open_store(settings) as store:
        found = plan(store, name, folders)
    if found.kind == "run":
        return replace(found, files=existing(found.files))
    if is_locked(settings.models / found.id):
        raise MriError(f"model {found.id} is being trained", "stop its training first")
    waiting = [each.folder for each in find_unrecorded(settings.unrecorded) if each.row.get("model_id") == found.id]
    folder, pages = settings.models / found.id, pages_about(settings, found.id)
    return replace(found, files=existing([folder, *found.files, *pages, *waiting]))


def pages_about(settings: Settings, model_id: str) -> list[Path]:
    """The report page of a model and those that compare it with another one."""
    name = glob.escape(safe_name(model_id))
    compared = [*settings.reports.glob(f"compare-{name}-*.html"), *settings.reports.glob(f"compare-*-{name}.html")]
    return [report_page(settings, model_id), *sorted(compared)]


def existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the paths that exist, each once."""
    return tuple({path.absolute(): path for path in paths if path.exists()}.values())


def delete_rows(settings: Settings, deletion: "Deletion") -> None:
    """Delete the rows, all or none."""
    from mri_model.results.deletion import delete

    with open_store(settings) as store:
        delete(store, deletion)


def delete_files(deletion: "Deletion") -> None:
    """Delete the files. Raises MriError if one stays; its rows are gone then."""
    for path in deletion.files:
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        except OSError as error:
            raise MriError(f"cannot delete {path}: {error.strerror}", "delete it by hand; its rows are gone") from None
