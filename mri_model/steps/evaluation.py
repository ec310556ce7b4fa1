"""The steps of an evaluation and of a re-evaluation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data import inventory as inventories
from mri_model.data import listing
from mri_model.data import manifest as manifests
from mri_model.data.class_table import class_table
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.data.profile import arrived_profile, profile_toml
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.data.validation import enforce, validate
from mri_model.errors import ChangedError, MriError, UnavailableError
from mri_model.files import write_text
from mri_model.models.metadata import read_metadata
from mri_model.progress import Log, ProgressCallback, no_log, no_progress
from mri_model.quality.wording import visible
from mri_model.settings import Settings
from mri_model.steps.database import ensure_recorded, open_store, write_dataset_rows, write_rows

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    import pandas as pd

    from mri_model.evaluation.metrics import Evaluation
    from mri_model.evaluation.reevaluation import Reevaluation
    from mri_model.results.store import Store
    from mri_model.training.sweep import Sweep


MOST_NAMED = 3
"""Files that an error names."""


def evaluate_model(
    settings: Settings,
    folder: Path,
    manifest: Manifest,
    split: str,
    device: str,
    progress: ProgressCallback = no_progress,
    log: Log = no_log,
) -> "Evaluation":
    """Evaluate a model on one split of a manifest, without the images that it has seen."""
    from mri_model.data.pixel_store import pack_pixels
    from mri_model.evaluation import evaluate
    from mri_model.evaluation.selection import select_images
    from mri_model.models.artifact import load_model
    from mri_model.models.network import choose_device
    from mri_model.models.threads import use_free_cores

    model = load_model(folder, choose_device(device))
    selection = select_images(model, manifest, split, progress)
    changes = changes_on_disk(manifest, selection.rows["path"])
    if changes:
        log(f"warning: {changes}")
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels, progress)
    if changes:
        log("  they are evaluated as they were when ingested")
    log(use_free_cores())
    return evaluate.evaluate_model(model, selection, pixels, progress)


def changes_on_disk(manifest: Manifest, paths: "pd.Series[str]") -> str:
    """How many of some images are not on disk as they were ingested, and the first of them; empty if all are."""
    if not manifest.root.is_dir():
        return f"all {len(paths)} images are gone from disk with their folder {manifest.shown_root}"
    changed = manifests.changed_files(manifest, paths)
    if not changed:
        return ""
    return f"{len(changed)} of {len(paths)} images are gone or changed on disk, the first: {visible(changed[0])}"


def record_evaluation(
    settings: Settings,
    owner: "Path | Sweep",
    manifest: Manifest,
    split: str,
    evaluation: "Evaluation",
    log: Log = no_log,
) -> None:
    """Write an evaluation's rows; it belongs to a model (its folder) or, pooled over folds, to a sweep.

    If the database stays away the rows are kept on disk, and recorded by a later command.
    """
    from mri_model.results.records import dataset_row, evaluation_row
    from mri_model.results.unrecorded import keep

    folder = owner if isinstance(owner, Path) else None
    column = {"model_id": read_metadata(owner).id} if isinstance(owner, Path) else {"sweep_id": owner.id}
    row = evaluation_row(column, manifest.digest, split, evaluation)

    def write(store: "Store") -> None:
        if not store.knows_dataset(manifest.digest):
            write_dataset_rows(store, manifest)
        if folder:
            ensure_recorded(settings, store, folder)
        store.record_evaluation(row, **evaluation.tables)

    try:
        write_rows(settings, write, log)
    except UnavailableError as error:
        dataset = dataset_row(manifest), class_table(manifest)
        place = keep(settings.unrecorded, row, evaluation.tables, dataset, folder)
        raise UnavailableError(
            f"{error}; the evaluation is kept in {place}",
            "the next stage records it once the database answers; so does: mri doctor",
        ) from None


def find_last_answers(settings: Settings, folder: Path, manifest: Manifest) -> "tuple[str, pd.DataFrame] | None":
    """Id and images of the last evaluation of a model on its test split; None if there is none."""
    with open_store(settings) as store:
        last = store.latest_evaluation(read_metadata(folder).id, manifest.digest)
        return (last, store.evaluated_images(last)) if last else None


def check_test_files(folder: Path, manifest: Manifest) -> None:
    """Raises ChangedError if a test image is gone, or has other bytes than when it was ingested."""
    rows = read_metadata(folder).partition(manifest).rows("test")
    other = manifests.changed_files(manifest, rows["path"])
    series = manifest.frame.set_index("path")["series"]
    gone = [path for path in other if not manifest.file_of(path, series[path]).is_file()]
    changed = [path for path in other if path not in set(gone)]
    problems = [
        f"{len(paths)} of {len(rows)} test files {'is' if len(paths) == 1 else 'are'} {what}: {first_names(paths)}"
        for what, paths in (("gone", gone), ("changed", changed))
        if paths
    ]
    if problems:
        hint = "restore them, or ingest and train again"
        raise ChangedError(read_metadata(folder).id, problems, hint, {"gone": gone, "changed": changed})


def first_names(paths: Sequence[str]) -> str:
    return ", ".join(map(visible, paths[:MOST_NAMED])) + (", …" if len(paths) > MOST_NAMED else "")


def repeat_evaluation(
    evaluation: "Evaluation", last: "tuple[str, pd.DataFrame] | None", log: Log = no_log
) -> "Reevaluation":
    """Compare an evaluation with the last one of the same model on the same images."""
    from mri_model.evaluation.reevaluation import Reevaluation, repeat

    repetition = repeat(last[0], last[1], evaluation.images) if last else None
    if repetition is None:
        log("there is no earlier evaluation to compare with")
    return Reevaluation(evaluation, repetition)


def ingest_arrived(
    settings: Settings, model_folder: Path, data: Path, progress: ProgressCallback = no_progress, log: Log = no_log
) -> Manifest | None:
    """The manifest of labelled images that arrived, with the classes of a model; None if there are none yet.

    It is not among the manifests that can be trained on. Images outside the model's classes are rejected.
    """
    if not data.is_dir():
        raise MriError(f"there is no folder {data}", "give the folder of labelled images that arrive; it may be empty")
    if not any(file.is_file() for file in data.rglob("*")):
        log(f"no labelled images have arrived in {data}")
        return None
    listing.check_outside(settings.root, data)
    profile = settings.arrived / f"{model_folder.name}.toml"
    metadata = read_metadata(model_folder)
    write_text(profile, profile_toml(arrived_profile(metadata.id, metadata.classes)))
    try:
        inventory = inventories.take_inventory(
            data, str(profile), progress=progress, cache=settings.cache, pseudonyms=Pseudonyms(settings.private)
        )
    except MriError as error:
        raise MriError(
            f"the images in {data} cannot be evaluated: {error}",
            "its folders must be called as the classes of the model",
        ) from None
    checked = enforce(replace(inventory, validation=validate(inventory)), "quarantine")
    return write_manifest(checked, settings.arrived, 0, progress)


def measure_drop(reevaluation: "Reevaluation", arrived: "Evaluation") -> "Reevaluation":
    """Compare the accuracy on arrived images with that on the test split."""
    from mri_model.evaluation import reevaluation as again

    drop = again.measure_drop(reevaluation.evaluation.images, arrived.images)
    return replace(reevaluation, arrived=arrived, drop=drop)
