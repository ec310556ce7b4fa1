"""The steps of ingestion."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data import inventory as inventories
from mri_model.data import listing
from mri_model.data import manifest_writer as manifests
from mri_model.data.class_folders import ClassNaming
from mri_model.data.hidden_inventory import hide_paths
from mri_model.data.hidden_paths import HiddenPaths
from mri_model.data.inventory import Inventory
from mri_model.data.manifest import Manifest, find_manifest
from mri_model.data.manifest_writer import mark_ingested
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.data.validation import enforce, validate
from mri_model.files import is_older, write_json
from mri_model.options import OnInvalid
from mri_model.progress import Log, ProgressCallback, no_log, no_progress
from mri_model.quality.report import QUALITY_FILE, QualityReport, read_dataset, write_quality_report
from mri_model.settings import Settings
from mri_model.steps.database import write_dataset_rows, write_rows

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    pass


def check_data(settings: Settings, data: Path) -> None:
    """Check before anything is written that the system does not write into the data."""
    listing.check_outside(settings.root, data)


def take_inventory(
    settings: Settings,
    data: Path,
    profile: str,
    naming: ClassNaming,
    labels: Path | None = None,
    hash_paths: bool = False,
    progress: ProgressCallback = no_progress,
) -> Inventory:
    """Read every file below ``data`` and label its images by folder, or by a table.

    Args:
        hash_paths: Put keyed hashes in place of the paths.
    """
    pseudonyms = Pseudonyms(settings.private)
    inventory = inventories.take_inventory(
        data,
        profile,
        progress=progress,
        cache=settings.cache,
        naming=naming,
        pseudonyms=pseudonyms,
        labels=labels,
    )
    return hide_paths(inventory, HiddenPaths(settings.private, pseudonyms)) if hash_paths else inventory


def find_ingested(settings: Settings, inventory: Inventory, seed: int) -> Manifest | None:
    """The manifest that the same files gave before."""
    return manifests.find_ingested(inventory, settings.manifests, seed)


def validate_inventory(settings: Settings, inventory: Inventory, on_invalid: OnInvalid) -> Inventory:
    """Validate by the profile; the result is in ``manifests/validation.json`` even if the data is refused."""
    validation = validate(inventory)
    write_json(settings.manifests / "validation.json", asdict(validation))
    return enforce(replace(inventory, validation=validation), on_invalid)


def write_manifest(
    settings: Settings, inventory: Inventory, seed: int, progress: ProgressCallback = no_progress
) -> Manifest:
    """Find near duplicates, group, split and write the manifest."""
    return manifests.write_manifest(inventory, settings.manifests, seed, progress)


def report_quality(settings: Settings, inventory: Inventory, manifest: Manifest) -> QualityReport:
    """Write the quality report and its page."""
    from mri_model.quality.page import write_quality_page

    report = write_quality_report(manifest, inventory.fingerprints)
    page = quality_page(settings, manifest)
    if is_older(page, manifest.folder / QUALITY_FILE):
        data = read_dataset(manifest, inventory.fingerprints)
        write_quality_page(report, data, page, manifest.digest, manifest.profile)
    return report


def make_latest(inventory: Inventory, manifest: Manifest) -> None:
    """Mark the manifest as complete: it is now the latest."""
    mark_ingested(manifest, inventory)


def quality_page(settings: Settings, manifest: Manifest) -> Path:
    return settings.reports / f"data-{manifest.digest}.html"


def record_dataset(settings: Settings, manifest: Manifest, log: Log = no_log) -> None:
    """Write the data set's row and those of its classes."""
    write_rows(settings, lambda store: write_dataset_rows(store, manifest), log)


def open_manifest(settings: Settings, name: str) -> Manifest:
    """``latest``, a digest (or its start), or a manifest folder."""
    return find_manifest(settings.manifests, name)
