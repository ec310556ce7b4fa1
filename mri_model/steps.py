"""The steps of the stages in ``api.py``: each one computes, writes below ``MRI_HOME`` or records rows.

Every step can be repeated: it finds what an earlier attempt left, or writes the same again.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mri_model.data import inventory as inventories
from mri_model.data import listing
from mri_model.data import manifest as manifests
from mri_model.data.class_folders import ClassNaming
from mri_model.data.inventory import Inventory
from mri_model.data.manifest import Manifest, class_table, find_manifest, mark_ingested
from mri_model.data.profile import arrived_profile, profile_toml
from mri_model.data.validation import enforce, validate
from mri_model.errors import MriError, RefusedError, UnavailableError
from mri_model.files import is_locked, is_older, safe_name, write_json, write_text
from mri_model.models.choice import ChosenModel, readable_models
from mri_model.models.choice import choose_model as choose
from mri_model.models.metadata import EpochMetrics, ModelMetadata, read_history, read_metadata
from mri_model.options import CHAMPION, OnInvalid
from mri_model.progress import Log, ProgressCallback, is_first_process, no_log, no_progress
from mri_model.quality.report import QUALITY_FILE, QualityReport, read_dataset, write_quality_report
from mri_model.settings import Settings

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    import pandas as pd

    from mri_model.evaluation.comparison import Difference
    from mri_model.evaluation.gate import Promotion
    from mri_model.evaluation.metrics import Evaluation
    from mri_model.evaluation.reevaluation import Reevaluation
    from mri_model.report.page.contents import ModelReport
    from mri_model.results.deletion import Deletion
    from mri_model.results.store import Store
    from mri_model.scoring.run import ScoringRun
    from mri_model.training.recipe import Recipe
    from mri_model.training.sweep import Sweep
    from mri_model.training.trainer import TrainingJob

RETRY_SECONDS = 5.0
"""How long to wait before the results database is tried again."""

T = TypeVar("T")

REPORT_TABLES = tuple(f"report-table-{number}" for number in range(1, 7))


def open_store(settings: Settings) -> "Store":
    """The results database."""
    from mri_model.results.store import Store

    return Store.open(settings.results_url)


def check_database(settings: Settings, log: Log = no_log) -> None:
    """Open the results database before any work, so that no work is lost if it is unusable.

    Evaluations that could not be recorded earlier are recorded now.
    """
    from mri_model.results.unrecorded import find_unrecorded

    with open_store(settings) as store:
        for kept in find_unrecorded(settings.unrecorded):
            if kept.owner:
                ensure_recorded(settings, store, kept.owner)
            kept.record(store)
            log(f"recorded {kept.row['id']}, which had waited for the database")


def write_rows(settings: Settings, write: "Callable[[Store], T]", log: Log) -> T:
    """Open the results database and write to it; waits for one that is away. ``write`` may be repeated."""
    give_up = time.monotonic() + settings.database_seconds
    while True:
        try:
            with open_store(settings) as store:
                return write(store)
        except UnavailableError as error:
            left = give_up - time.monotonic()
            if left <= 0:
                raise
            log(f"{error}; trying again for {left:.0f} s")
            time.sleep(min(RETRY_SECONDS, left))


# --- ingestion


def check_data(settings: Settings, data: Path) -> None:
    """Check before anything is written that the system does not write into the data."""
    listing.check_outside(settings.root, data)


def take_inventory(
    settings: Settings, data: Path, profile: str, naming: ClassNaming, progress: ProgressCallback = no_progress
) -> Inventory:
    """Read every file below ``data`` and label it by its folder."""
    return inventories.take_inventory(data, profile, progress=progress, cache=settings.cache, naming=naming)


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
    mark_ingested(manifest.folder, inventory, manifest.seed)


def quality_page(settings: Settings, manifest: Manifest) -> Path:
    return settings.reports / f"data-{manifest.digest}.html"


def record_dataset(settings: Settings, manifest: Manifest, log: Log = no_log) -> None:
    """Write the data set's row and those of its classes."""
    write_rows(settings, lambda store: write_dataset_rows(store, manifest), log)


def write_dataset_rows(store: "Store", manifest: Manifest) -> None:
    from mri_model.results.records import dataset_row

    store.record_dataset(dataset_row(manifest), class_table(manifest))


# --- training


def open_manifest(settings: Settings, name: str) -> Manifest:
    """``latest``, a digest (or its start), or a manifest folder."""
    return find_manifest(settings.manifests, name)


def stop_dead_trainings(settings: Settings) -> None:
    """Record trainings whose process was killed as ``stopped``: nobody holds the lock of their model folder."""
    with open_store(settings) as store:
        for model_id, path in store.training_models():
            folder = Path(path)
            if folder.parent == settings.models and not is_locked(folder):
                store.mark_stopped(model_id)


def train_network(
    settings: Settings,
    recipe: "Recipe",
    manifest: Manifest,
    device: str,
    progress: ProgressCallback = no_progress,
    log: Log = no_log,
) -> Path:
    """Decode the images once, then train; resumes if an earlier training of the same recipe was interrupted.

    Returns the model folder. An interruption leaves the model's row with status ``stopped``.
    """
    from mri_model.data.pixel_store import pack_pixels
    from mri_model.models.threads import use_free_cores
    from mri_model.report.text import ALREADY_TRAINED
    from mri_model.training.trainer import train

    job = training_job(settings, recipe, manifest, device, progress, log)
    if job.is_complete:
        log(ALREADY_TRAINED)
        return job.folder
    if job.world.is_first:  # the first process decodes, all of them then open the result
        pack_pixels(manifest, recipe.preprocessing, settings.pixels, progress)
    job.world.barrier()
    pixels = pack_pixels(manifest, recipe.preprocessing, settings.pixels)
    job.say(use_free_cores())
    if job.world.is_first and (job.folder / "history.csv").is_file():  # resumed: its row says so from the start
        record_epochs(settings, job)
    try:
        return train(job, pixels)
    except BaseException:
        if not is_locked(job.folder):  # else another process is training this model
            mark_stopped(settings, job.model_id)
        raise


def training_job(
    settings: Settings, recipe: "Recipe", manifest: Manifest, device: str, progress: ProgressCallback, log: Log
) -> "TrainingJob":
    """A training that logs and records each of its epochs."""
    import torch

    from mri_model.models.network import choose_device
    from mri_model.report.text import describe_epoch
    from mri_model.training.distributed import join_world, own_device
    from mri_model.training.trainer import TrainingJob

    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without it
    torch.use_deterministic_algorithms(recipe.deterministic)

    def on_epoch(metrics: EpochMetrics) -> None:
        log(describe_epoch(metrics))
        record_epochs(settings, job)

    def on_step(epoch: int, done: int, total: int) -> None:
        progress(f"epoch {epoch}/{recipe.epochs}", done, total)

    job = TrainingJob(
        manifest=manifest,
        recipe=recipe,
        models=settings.models,
        device=own_device(choose_device(device)),
        checkpoint_seconds=settings.checkpoint_seconds,
        world=join_world(),
        on_epoch=on_epoch,
        on_step=on_step,
        log=log,
    )
    return job


def record_epochs(settings: Settings, job: "TrainingJob") -> None:
    """Write the row of a model in training, its epochs so far and their curves.

    A database that cannot be reached does not stop the training: all rows are written again at its end.
    """
    from mri_model.report.curves import learning_curves
    from mri_model.results.records import epoch_rows, training_row

    history = read_history(job.folder)
    write_text(job.folder / "curves.svg", learning_curves(history))
    try:
        with open_store(settings) as store:
            dataset = known_dataset(store, job.manifest.digest)
            row = training_row(job.recorded, job.folder, history, str(job.device), dataset)
            store.record_model(row, epoch_rows(history))
    except MriError as error:
        logging.getLogger(__name__).warning("epoch %d is not in the database yet: %s", len(history), error)


def mark_stopped(settings: Settings, model_id: str) -> None:
    """Record that a training was interrupted."""
    with suppress(MriError), open_store(settings) as store:
        store.mark_stopped(model_id)


def record_model(settings: Settings, folder: Path, log: Log = no_log) -> ModelMetadata:
    """Write a trained model's row and its epochs; the first one becomes the champion.

    Under ``torchrun`` the first process does.
    """
    metadata = read_metadata(folder)
    if is_first_process():
        write_rows(settings, lambda store: write_model_rows(store, folder, metadata), log)
        log(write_rows(settings, lambda store: crown_first(store, metadata), log))
    return metadata


def crown_first(store: "Store", metadata: ModelMetadata) -> str:
    """The first trained model becomes the champion; a fold of a cross-validation does not. Returns what happened."""
    from mri_model.results import registry

    if not metadata.fold and registry.crown_first(store, metadata.id):
        return f"model {metadata.id} is the champion now: evaluation and scoring use it"
    champion = registry.find_champion(store)
    if champion is None or champion.model_id == metadata.id:
        return (
            f"model {metadata.id} is the champion"
            if champion
            else f"model {metadata.id} is a candidate; there is no champion"
        )
    return f"model {metadata.id} is a candidate; the champion is {champion.model_id} (to change that: mri promote)"


def write_model_rows(store: "Store", folder: Path, metadata: ModelMetadata) -> None:
    from mri_model.results.records import epoch_rows, model_row

    row = model_row(metadata, folder, known_dataset(store, metadata.manifest))
    store.record_model(row, epoch_rows(read_history(folder)))


def known_dataset(store: "Store", digest: str) -> str | None:
    """The digest if the database knows the data set, else None."""
    return digest if store.knows_dataset(digest) else None


def record_sweep(settings: Settings, sweep: "Sweep", models: Sequence[ModelMetadata], log: Log = no_log) -> None:
    """Record which models belong to a sweep, as far as it has got."""
    row, members = {"id": sweep.id, "kind": sweep.kind}, [model.id for model in models]
    write_rows(settings, lambda store: store.record_sweep(row, members), log)


# --- evaluation


def choose_model(settings: Settings, name: str, log: Log = no_log) -> Path:
    """The folder of the model ``name``: ``champion``, or see ``models.choice``. Says which one was chosen and why."""
    chosen = choose_champion(settings) if name == CHAMPION else choose(name, settings.models, settings.manifests)
    log(chosen.reason)
    return chosen.folder


def choose_champion(settings: Settings) -> ChosenModel:
    """The champion's folder. Raises MriError if there is no champion, or its folder is gone."""
    from mri_model.results.registry import find_champion

    with open_store(settings) as store:
        champion = find_champion(store)
    if champion is None:
        raise MriError(
            "no model is the champion yet" if readable_models(settings.models) else "nothing has been trained yet",
            "run: mri promote MODEL, or name a model with --model"
            if readable_models(settings.models)
            else "run: mri train, or name a model folder with --model",
        )
    for folder in (settings.models / champion.model_id, champion.path):
        if (folder / "model.json").is_file():
            since = f"{champion.since:%Y-%m-%d}"
            return ChosenModel(folder, f"model {champion.model_id}: the champion since {since} ({champion.why})")
    raise MriError(f"the folder of the champion is gone: {champion.path}", "restore it, or promote another model")


def find_champion_folder(settings: Settings) -> Path | None:
    """The champion's folder; None if no model is the champion."""
    from mri_model.results.registry import find_champion

    with open_store(settings) as store:
        champion = find_champion(store)
    return choose_champion(settings).folder if champion else None


def is_evaluated(settings: Settings, folder: Path, manifest: Manifest) -> bool:
    """Whether a model's answers on the test images of a manifest are recorded."""
    with open_store(settings) as store:
        return store.latest_evaluation(read_metadata(folder).id, manifest.digest) is not None


def compare_with_champion(
    settings: Settings, candidate: Path, champion: Path, manifest: Manifest
) -> "Difference | None":
    """Candidate minus champion on the test images of a manifest; None if they have none in common."""
    from mri_model.evaluation.comparison import compare

    with open_store(settings) as store:
        found = [store.latest_evaluation(read_metadata(each).id, manifest.digest) for each in (champion, candidate)]
        first, second = (store.evaluated_images(str(each)) for each in found)
    return compare(first, second, manifest.classes)


def check_gate(candidate: Path, champion: Path, difference: "Difference | None") -> None:
    """Raises RefusedError, with the reasons and their numbers, if the candidate may not replace the champion."""
    from mri_model.evaluation.gate import objections

    against = list(objections(read_metadata(candidate), read_metadata(champion), difference))
    if against:
        raise RefusedError(
            f"model {candidate.name} may not replace the champion {champion.name}: {'; '.join(against)}",
            "use --force to promote it anyway; the history records that",
        )


def promote_model(settings: Settings, candidate: Path, why: str, forced: bool) -> "Promotion":
    """Make a model the champion and retire the one before."""
    from mri_model.evaluation.gate import Promotion
    from mri_model.results.registry import promote

    with open_store(settings) as store:
        metadata = ensure_recorded(settings, store, candidate)
        return Promotion(metadata.id, promote(store, metadata.id, why, forced))


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
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels, progress)
    log(use_free_cores())
    return evaluate.evaluate_model(model, selection, pixels, progress)


def find_last_answers(settings: Settings, folder: Path, manifest: Manifest) -> "tuple[str, pd.DataFrame] | None":
    """Id and images of the last evaluation of a model on its test split; None if there is none."""
    with open_store(settings) as store:
        last = store.latest_evaluation(read_metadata(folder).id, manifest.digest)
        return (last, store.evaluated_images(last)) if last else None


def check_test_files(folder: Path, manifest: Manifest) -> list[str]:
    """Paths of the test images whose file is gone or changed."""
    rows = read_metadata(folder).partition(manifest).rows("test")
    return manifests.changed_files(manifest, rows["path"])


def repeat_evaluation(
    evaluation: "Evaluation", last: "tuple[str, pd.DataFrame] | None", changed_files: list[str], log: Log = no_log
) -> "Reevaluation":
    """Compare an evaluation with the last one of the same model on the same images."""
    from mri_model.evaluation.reevaluation import Reevaluation, repeat

    repetition = repeat(last[0], last[1], evaluation.images) if last else None
    if repetition is None:
        log("there is no earlier evaluation to compare with")
    return Reevaluation(evaluation, repetition, tuple(changed_files))


def ingest_arrived(
    settings: Settings, model_folder: Path, data: Path, progress: ProgressCallback = no_progress, log: Log = no_log
) -> Manifest | None:
    """The manifest of labelled images that arrived, with the classes of a model; None if there are none yet.

    It is not among the manifests that can be trained on. Images outside the model's classes are rejected.
    """
    if not data.is_dir() or not any(file.is_file() for file in data.rglob("*")):
        log(f"no labelled images have arrived in {data}")
        return None
    listing.check_outside(settings.root, data)
    profile = settings.arrived / f"{model_folder.name}.toml"
    write_text(profile, profile_toml(arrived_profile(read_metadata(model_folder).classes)))
    inventory = inventories.take_inventory(data, str(profile), progress=progress, cache=settings.cache)
    checked = enforce(replace(inventory, validation=validate(inventory)), "quarantine")
    return manifests.write_manifest(checked, settings.arrived, 0, progress)


def measure_drop(reevaluation: "Reevaluation", arrived: "Evaluation") -> "Reevaluation":
    """Compare the accuracy on arrived images with that on the test split."""
    from mri_model.evaluation import reevaluation as again

    drop = again.measure_drop(reevaluation.evaluation.images, arrived.images)
    return replace(reevaluation, arrived=arrived, drop=drop)


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
            f"{error}; the evaluation is kept in {place}", "the next command records it once the database answers"
        ) from None


def ensure_recorded(settings: Settings, store: "Store", folder: Path) -> ModelMetadata:
    """Write the rows of a model that came from elsewhere (another machine, another database), if they are missing."""
    metadata = read_metadata(folder)
    if (settings.manifests / metadata.manifest).is_dir() and not store.knows_dataset(metadata.manifest):
        write_dataset_rows(store, find_manifest(settings.manifests, metadata.manifest))
    if not store.knows_model(metadata.id):
        write_model_rows(store, folder, metadata)
    return metadata


def query_report_tables(settings: Settings) -> "dict[str, pd.DataFrame]":
    """The report's six tables by name, for the latest results."""
    with open_store(settings) as store:
        return {name: store.query(name) for name in REPORT_TABLES}


# --- report page


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


# --- scoring


def score_folder(
    settings: Settings,
    model_folder: Path,
    folder: Path,
    device: str,
    progress: ProgressCallback = no_progress,
    log: Log = no_log,
) -> "ScoringRun":
    """Score every file below ``folder``; one that this model scored before, unchanged, keeps its row."""
    from mri_model.models.artifact import load_model
    from mri_model.models.network import choose_device
    from mri_model.models.threads import use_free_cores
    from mri_model.scoring import run

    model = load_model(model_folder, choose_device(device))
    log(use_free_cores())
    with open_store(settings) as store:
        ensure_recorded(settings, store, model.folder)
        return run.score_folder(store, model, folder, settings.scores, progress)


# --- deletion


def plan_deletion(settings: Settings, name: str) -> "Deletion":
    """The rows and files of a model, with the page about it, or of a scoring run."""
    from mri_model.results.deletion import plan

    with open_store(settings) as store:
        found = plan(store, name)
    if found.kind == "model" and is_locked(settings.models / found.id):
        raise MriError(f"model {found.id} is being trained", "stop its training first")
    pages = settings.reports.glob(f"*{found.id}*.html") if found.kind == "model" else ()
    return replace(found, files=tuple(each for each in (*found.files, *sorted(pages)) if each.exists()))


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
