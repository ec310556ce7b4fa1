"""The steps that write report pages."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data.manifest import find_manifest
from mri_model.errors import MriError
from mri_model.files import safe_name
from mri_model.models.metadata import EpochMetrics, read_history, read_metadata
from mri_model.settings import Settings
from mri_model.steps.database import open_store

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.report.page.contents import ModelReport


def write_report_page(settings: Settings, folder: Path, with_images: bool = False) -> Path:
    """Write the page of a model's newest test evaluation; with pictures of the data only if asked for."""
    from mri_model.report.page.render import write_model_page

    report = gather_report(settings, folder, with_images)
    return write_model_page(report, report_page(settings, report.model.id))


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


def report_page(settings: Settings, model_id: str) -> Path:
    return settings.reports / f"model-{safe_name(model_id)}.html"


def gather_report(settings: Settings, folder: Path, with_images: bool = False) -> "ModelReport":
    """What the page of a model shows.

    Raises:
        MriError: If the model has no evaluation on a test split.
    """
    from mri_model.report.page.contents import ModelReport
    from mri_model.report.page.sources import data_quality, exhibits_of
    from mri_model.results import evaluated

    model = read_metadata(folder)
    with open_store(settings) as store:
        evaluation = evaluated.latest_evaluation(store, model.id)
        if evaluation is None:
            raise MriError(f"model {model.id} has no test evaluation", f"run: mri evaluate --model {model.id}")
        tables = evaluated.evaluation_tables(store, evaluation["id"])
        dataset, classes = evaluated.recorded_dataset(store, evaluation["dataset_digest"])
        sizes = evaluated.compared_sizes(store, model.id)
    history: list[EpochMetrics] = []
    with suppress(MriError):
        history = read_history(folder)
    manifest = None
    with suppress(MriError):  # it may be gone: then the page has no quality report and no pictures
        manifest = find_manifest(settings.manifests, evaluation["dataset_digest"])
    quality = data_quality(manifest, with_images) if manifest else None
    exhibits = exhibits_of(folder, manifest, tables["images"]) if with_images else None
    return ModelReport(
        model,
        history,
        evaluation,
        **tables,
        dataset=dataset,
        dataset_classes=classes,
        sizes=sizes,
        quality=quality,
        exhibits=exhibits,
    )
