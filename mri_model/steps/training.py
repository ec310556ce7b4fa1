"""The steps of a training."""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data.manifest import Manifest
from mri_model.errors import MriError, UnavailableError
from mri_model.files import is_locked, write_text
from mri_model.models.metadata import EpochMetrics, ModelMetadata, read_history, read_metadata
from mri_model.progress import Log, ProgressCallback, is_first_process, no_log, no_progress
from mri_model.settings import Settings
from mri_model.steps.database import known_dataset, open_store, write_model_rows, write_rows

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.results.store import Store
    from mri_model.training.recipe import Recipe
    from mri_model.training.sweep import Sweep
    from mri_model.training.trainer import TrainingJob


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
        try:
            write_rows(settings, lambda store: write_model_rows(store, folder, metadata), log)
            log(write_rows(settings, lambda store: crown_first(store, metadata), log))
        except UnavailableError as error:
            raise UnavailableError(
                f"{error}; the model is complete in {folder}",
                "run the same command again once the database answers: it only records the model",
            ) from None
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
    return f"model {metadata.id} is a candidate (mri promote); champion: {champion.model_id}"


def record_sweep(settings: Settings, sweep: "Sweep", models: Sequence[ModelMetadata], log: Log = no_log) -> None:
    """Record which models belong to a sweep, as far as it has got."""
    row, members = {"id": sweep.id, "kind": sweep.kind}, [model.id for model in models]
    write_rows(settings, lambda store: store.record_sweep(row, members), log)
