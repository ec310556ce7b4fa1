"""The commands about trained models: evaluate, reevaluate, models, promote and report."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mri_model import options as choices
from mri_model.cli import query
from mri_model.cli.options import (
    Device,
    Json,
    ModelName,
)
from mri_model.cli.output import (
    print_result,
    records,
    stage_runner,
)
from mri_model.errors import ChangedError

if TYPE_CHECKING:
    from mri_model.evaluation.gate import Promotion
    from mri_model.evaluation.metrics import Evaluation
    from mri_model.evaluation.reevaluation import Reevaluation


def evaluate(
    model: ModelName = choices.DEFAULT_MODEL,
    split: Annotated[choices.Split, typer.Option(help=choices.HELP["split"])] = "test",
    manifest: Annotated[str, typer.Option(help=choices.HELP["evaluated_manifest"])] = "",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Evaluate a model per class and per contrast, and record it in the results database."""
    from mri_model import api
    from mri_model.report.text import describe_evaluation
    from mri_model.settings import load_settings
    from mri_model.steps import report_page

    with stage_runner(as_json) as run:
        evaluation = api.evaluate(load_settings(), model, split, manifest, device, run)
    page = report_page(load_settings(), str(evaluation.model_id)) if split == "test" else None
    text = describe_evaluation(evaluation, hint=split in ("test", "all")) + (f"\npage  {page}" if page else "")
    print_result(as_json, evaluation_facts(evaluation, page), text)


def reevaluate(
    model: ModelName = choices.DEFAULT_MODEL,
    arrived: Annotated[Path | None, typer.Option(help=choices.HELP["arrived"])] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Evaluate a model again, on its test split and on images that arrived; an error says what is not as it was."""
    from mri_model import api
    from mri_model.report.text import describe_reevaluation
    from mri_model.settings import load_settings

    with stage_runner(as_json) as run:
        found = api.reevaluate(load_settings(), model, arrived, device, run)
    if not (as_json and found.problems):  # then the error is the one JSON object, with the same facts
        print_result(as_json, reevaluation_facts(found), describe_reevaluation(found))
    if found.problems:
        raise ChangedError(str(found.evaluation.model_id), found.problems, facts=reevaluation_facts(found))


def reevaluation_facts(found: "Reevaluation") -> dict[str, Any]:
    """What ``mri reevaluate --json`` prints."""
    return {
        "evaluation": evaluation_facts(found.evaluation),
        "repetition": asdict(found.repetition) if found.repetition else None,
        "arrived": evaluation_facts(found.arrived) if found.arrived else None,
        "drop": asdict(found.drop) if found.drop else None,
        "problems": found.problems,
    }


def evaluation_facts(evaluation: "Evaluation", page: Path | None = None) -> dict[str, Any]:
    """What ``mri evaluate --json`` prints."""
    return {
        "evaluation": evaluation.id,
        "model": evaluation.model_id,
        "page": page,
        **asdict(evaluation.overall),
        "interval_unit": evaluation.unit,
        "n_seen": evaluation.n_seen,
        "classes": records(evaluation.classes),
        "contrasts": records(evaluation.contrasts),
        "similarities": records(evaluation.similarities),
    }


def models(as_json: Json = False) -> None:
    """List the models with their stage: candidate, champion (evaluation and scoring use it) or retired.

    The status "unusable": its folder is damaged or of an older format; mri delete MODEL, then train again.
    """
    from mri_model import api
    from mri_model.settings import load_settings

    query.print_answer(api.list_models(load_settings()), as_json, "models")


def promote(
    model: Annotated[str, typer.Argument(help=choices.HELP["promoted"])],
    why: Annotated[str, typer.Option(help=choices.HELP["why"])] = "",
    force: Annotated[bool, typer.Option("--force", help=choices.HELP["force"])] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Make MODEL the champion, which evaluation and scoring use, if it is not worse than the champion now."""
    from mri_model import api
    from mri_model.report.text import describe_promotion
    from mri_model.settings import load_settings

    with stage_runner(as_json) as run:
        promotion = api.promote(load_settings(), model, why, force, device, run)
    print_result(as_json, promotion_facts(promotion), describe_promotion(promotion))


def promotion_facts(promotion: "Promotion") -> dict[str, Any]:
    """What ``mri promote --json`` prints."""
    facts: dict[str, Any] = {"champion": promotion.model_id, "retired": promotion.retired}
    verdict = promotion.verdict
    facts |= {"recorded": verdict is not None, "objections": verdict.objections if verdict else []}
    if verdict and (found := verdict.difference):
        facts |= {**vars(found), "classes": records(found.classes)}
    return facts


def report(
    model: Annotated[str, typer.Argument(help=choices.HELP["reported"])] = choices.DEFAULT_MODEL,
    compare: Annotated[str, typer.Option(metavar="OTHER", help=choices.HELP["compare"])] = "",
    with_images: Annotated[bool, typer.Option("--with-images", help=choices.HELP["with_images"])] = False,
    as_json: Json = False,
) -> None:
    """Write the report page of an evaluated model or a cross-validation: one HTML file that needs no network."""
    from mri_model import api
    from mri_model.settings import load_settings

    with stage_runner(as_json) as run:
        page = api.report(load_settings(), model, compare, with_images, run)
    print_result(as_json, {"page": page}, f"page  {page}")
