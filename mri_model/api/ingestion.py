"""Folder → manifest, or profile."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.data.class_folders import ClassNaming
from mri_model.data.manifest import Manifest
from mri_model.data.profile import AUTO, Profile, as_found
from mri_model.options import OnInvalid
from mri_model.settings import Settings

if TYPE_CHECKING:
    pass


def learn_profile(
    settings: Settings,
    data: Path,
    class_level: int = 0,
    class_map: Mapping[str, str] | None = None,
    labels: Path | None = None,
    run: StepRunner = DIRECT,
) -> Profile:
    """A profile of a folder as it is, named after it; the folder follows it."""
    naming = ClassNaming(class_level, class_map or {})
    inventory = steps.take_inventory(settings, data, AUTO, naming, labels, progress=run.progress)
    name = data.resolve().name or "root"
    return as_found(inventory.profile, inventory.frame, "learnt" if name == AUTO else name)


def ingest(
    settings: Settings,
    data: Path,
    profile: str = "auto",
    seed: int = 0,
    on_invalid: OnInvalid = "fail",
    class_level: int = 0,
    class_map: Mapping[str, str] | None = None,
    labels: Path | None = None,
    hash_paths: bool = False,
    run: StepRunner = DIRECT,
) -> Manifest:
    """Folder → validated manifest with its quality report.

    Args:
        class_level: Which folder is the class, see ``ClassNaming``.
        class_map: Class as found → class as it is to be called.
        labels: A table that names the classes; None: ``labels.csv`` in the folder, if there is one.
        hash_paths: Write keyed hashes in place of file paths, which may hold names.

    Raises:
        RefusedError: If the data set breaks a rule of its profile.
        MriError: If the folder holds no image in a class folder, or the database cannot be used.
    """
    require_one_process("ingestion")
    naming = ClassNaming(class_level, class_map or {})
    run(steps.check_data, settings, data)
    run(steps.check_database, settings)
    inventory = run(steps.take_inventory, settings, data, profile, naming, labels, hash_paths)
    manifest = run(steps.find_ingested, settings, inventory, seed)
    if manifest is None:
        inventory = run(steps.validate_inventory, settings, inventory, on_invalid)
        manifest = run(steps.write_manifest, settings, inventory, seed)
    run(steps.report_quality, settings, inventory, manifest)
    run(steps.make_latest, inventory, manifest)
    run(steps.record_dataset, settings, manifest)
    return manifest
