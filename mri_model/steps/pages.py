"""The steps that write report pages."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri_model.data.manifest import Manifest, find_manifest
from mri_model.errors import MriError
from mri_model.files import safe_name
from mri_model.models.choice import is_named
from mri_model.models.metadata import EpochMetrics, read_history, read_metadata
from mri_model.progress import Log, no_log
from mri_model.settings import Settings
from mri_model.steps.database import model_folder, open_store

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.quality.page import Section
    from mri_model.report.page.contents import ModelReport, SweepReport
    from mri_model.results.store import Store


def write_report_page(settings: Settings, folder: Path, with_images: bool = False) -> Path:
    """Write the page of a model's newest test evaluation; with pictures of the data only if asked for."""
    from mri_model.report.page.render import write_model_page

    report = gather_report(settings, folder, with_images)
    return write_model_page(report, report_page(settings, report.model.id, with_images))


def find_sweep(settings: Settings, name: str, log: Log = no_log) -> str | None:
    """Id of the cross-validation that is called ``name``, by its id or the start of it; None if no sweep is.

    Raises:
        MriError: If several sweeps are called so, or the sweep is no cross-validation.
    """
    from mri_model.results.pooled import sweep_kinds

    with open_store(settings) as store:
        kinds = sweep_kinds(store)
    matches = [sweep_id for sweep_id in kinds if is_named(sweep_id, name)]
    if not matches:
        return None
    if len(matches) > 1:
        raise MriError(f"{len(matches)} sweeps match {name!r}: {', '.join(matches[:3])}", "give more of the id")
    (found,) = matches
    if kinds[found] != "folds":
        raise MriError(f"{found} is a sweep of {kinds[found]}: its models have no result in common", "name one of them")
    log(f"cross-validation {found}")
    return found


def write_sweep_page(settings: Settings, sweep_id: str, with_images: bool = False) -> Path:
    """Write the page of a cross-validation; with pictures of the data only if asked for."""
    from mri_model.report.page import render

    report = gather_sweep(settings, sweep_id, with_images)
    return render.write_sweep_page(report, sweep_page(settings, sweep_id, with_images))


def write_comparison_page(settings: Settings, first: Path, second: Path) -> Path:
    """Write the page that puts two models side by side; also the page of each, if it is missing."""
    from mri_model.report.page.render import write_comparison, write_model_page

    reports = gather_report(settings, first), gather_report(settings, second)
    pages = [report_page(settings, report.model.id) for report in reports]
    for report, page in zip(reports, pages, strict=True):
        if not page.is_file():
            write_model_page(report, page)
    one, two = (safe_name(report.model.id) for report in reports)
    return write_comparison(*reports, settings.reports / f"compare-{one}-{two}.html", (pages[0].name, pages[1].name))


def report_page(settings: Settings, model_id: str, with_images: bool = False) -> Path:
    return page_path(settings, f"model-{model_id}", with_images)


def sweep_page(settings: Settings, sweep_id: str, with_images: bool = False) -> Path:
    return page_path(settings, f"sweep-{sweep_id}", with_images)


def page_path(settings: Settings, name: str, with_images: bool) -> Path:
    """A page with pictures has a name of its own: an evaluation writes the page without them again."""
    return settings.reports / f"{safe_name(name)}{'-with-images' if with_images else ''}.html"


def gather_report(settings: Settings, folder: Path, with_images: bool = False) -> "ModelReport":
    """What the page of a model shows.

    Raises:
        MriError: If the model has no evaluation on a test split.
    """
    from mri_model.report.page.contents import ModelReport
    from mri_model.report.page.sources import exhibits_of
    from mri_model.results import evaluated

    model = read_metadata(folder)
    with open_store(settings) as store:
        evaluation = evaluated.latest_evaluation(store, model.id)
        if evaluation is None:
            raise MriError(f"model {model.id} has no test evaluation", f"run: mri evaluate --model {model.id}")
        manifest = known_manifest(settings, evaluation)
        results = recorded_results(store, evaluation, manifest)
        sizes = evaluated.compared_sizes(store, model.id)
    history: list[EpochMetrics] = []
    with suppress(MriError):
        history = read_history(folder)
    return ModelReport(
        model=model,
        history=history,
        sizes=sizes,
        **results,
        quality=quality_of(manifest, with_images),
        exhibits=exhibits_of(folder, manifest, results["images"]) if with_images else None,
    )


def gather_sweep(settings: Settings, sweep_id: str, with_images: bool = False) -> "SweepReport":
    """What the page of a cross-validation shows.

    Raises:
        MriError: If its folds have not been evaluated together, or the folder of a model is gone.
    """
    from mri_model.report.page.contents import SweepReport
    from mri_model.report.page.sources import exhibits_of
    from mri_model.results import pooled

    with open_store(settings) as store:
        evaluation = pooled.pooled_evaluation(store, sweep_id)
        if evaluation is None:
            raise MriError(
                f"{sweep_id} has no pooled evaluation: it was interrupted, or a model of it was deleted",
                "run mri train --folds again, as before",
            )
        manifest = known_manifest(settings, evaluation)
        results = recorded_results(store, evaluation, manifest)
        models = pooled.fold_models(store, sweep_id)
        folds = pooled.fold_evaluations(store, sweep_id, evaluation["dataset_digest"])
    return SweepReport(
        sweep_id=sweep_id,
        models=tuple(
            read_metadata(model_folder(settings, *each)) for each in zip(models["id"], models["path"], strict=True)
        ),
        folds=folds,
        **results,
        quality=quality_of(manifest, with_images),
        exhibits=exhibits_of(None, manifest, results["images"]) if with_images else None,
    )


def recorded_results(store: "Store", evaluation: dict[str, Any], manifest: Manifest | None) -> dict[str, Any]:
    """The fields of an ``EvaluationReport`` that the results database holds, and the patients of the manifest."""
    from mri_model.evaluation.units import add_patients
    from mri_model.results import evaluated

    tables = evaluated.evaluation_tables(store, evaluation["id"])
    if manifest:
        tables["images"] = add_patients(tables["images"], manifest.frame)
    dataset, classes = evaluated.recorded_dataset(store, evaluation["dataset_digest"])
    return {"evaluation": evaluation, **tables, "dataset": dataset, "dataset_classes": classes}


def known_manifest(settings: Settings, evaluation: dict[str, Any]) -> Manifest | None:
    """The manifest of an evaluation; None if it is gone: then the page has no quality report and no pictures."""
    with suppress(MriError):
        return find_manifest(settings.manifests, evaluation["dataset_digest"])
    return None


def quality_of(manifest: Manifest | None, with_images: bool) -> "Section | None":
    from mri_model.report.page.sources import data_quality

    return data_quality(manifest, with_images) if manifest else None
