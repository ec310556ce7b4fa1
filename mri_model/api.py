"""The stages as plain functions: each computes, writes below ``MRI_HOME`` and records its rows in the results database.

The command line calls these; the Prefect flows call their parts as tasks.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri_model.data.inventory import Inventory, take_inventory
from mri_model.data.manifest import (
    SCHEMA_VERSION,
    Manifest,
    class_table,
    find_ingested,
    find_manifest,
    mark_ingested,
    read_near_duplicates,
    write_manifest,
)
from mri_model.data.profile import Profile
from mri_model.data.validation import enforce, validate
from mri_model.errors import MriError, UsageError
from mri_model.files import run_id, write_json
from mri_model.models.metadata import read_history, read_metadata
from mri_model.progress import ProgressCallback, no_progress
from mri_model.quality.report import read_quality, write_quality_report
from mri_model.settings import Settings

if TYPE_CHECKING:  # PyTorch and scikit-learn take seconds to import: only the stages that compute with them do
    from mri_model.evaluation.metrics import Evaluation
    from mri_model.results.store import Store
    from mri_model.scoring.run import Scored
    from mri_model.training.recipe import Recipe
    from mri_model.training.trainer import OnEpoch

REPORT_SIZES = (100, 256, 630)
"""Image sizes of the report's Table 3, in pixels."""


def open_store(settings: Settings) -> "Store":
    """The results database; stages open it before the work, so that a missing one costs no result."""
    from mri_model.results.store import Store

    return Store.open(settings.results_url)


def learn(settings: Settings, data: Path, progress: ProgressCallback = no_progress) -> Profile:
    """A profile of a folder as it is, named after it."""
    inventory = take_inventory(data, progress=progress, cache=settings.cache)
    return replace(inventory.profile, name=data.resolve().name or "root")


def ingest(
    settings: Settings,
    data: Path,
    profile: str = "auto",
    seed: int = 0,
    on_invalid: str = "fail",
    progress: ProgressCallback = no_progress,
) -> Manifest:
    """Folder → validated manifest. Raises RefusedError where the data set breaks a rule of its profile."""
    open_store(settings).close()
    inventory = take_inventory(data, profile, progress=progress, cache=settings.cache)
    manifest = find_ingested(inventory, settings.manifests, seed)
    if manifest is None:
        inventory = check(settings, inventory, on_invalid)
        manifest = write_manifest(inventory, settings.manifests, seed, progress)
    write_quality_report(manifest, inventory.thumbnails)
    mark_ingested(manifest.folder, inventory, seed)
    write_quality_page(settings, inventory, manifest)
    record_dataset(settings, manifest)
    return manifest


def check(settings: Settings, inventory: Inventory, on_invalid: str = "fail") -> Inventory:
    """Validate; the verdict lies in ``manifests/validation.json`` even where the data is refused."""
    validated = replace(inventory, validation=validate(inventory))
    write_json(settings.manifests / "validation.json", validated.validation)
    return enforce(validated, on_invalid)


def quality_page(settings: Settings, manifest: Manifest) -> Path:
    return settings.reports / f"data-{manifest.digest}.html"


def write_quality_page(settings: Settings, inventory: Inventory, manifest: Manifest) -> Path:
    """The quality report as a page for people, made if it is not there yet."""
    from mri_model.quality import page

    file = quality_page(settings, manifest)
    if file.is_file():
        return file
    return page.write_quality_page(
        read_quality(manifest.folder),
        manifest.frame,
        inventory.thumbnails,
        read_near_duplicates(manifest),
        file,
        manifest.digest,
        manifest.profile,
    )


def record_dataset(settings: Settings, manifest: Manifest) -> None:
    rejected = int((manifest.frame["status"] == "rejected").sum())
    row = {
        "digest": manifest.digest,
        "profile": manifest.profile,
        "root": str(manifest.root),
        "seed": manifest.seed,
        "n_files": len(manifest.frame),
        "n_ok": len(manifest.frame) - rejected,
        "n_rejected": rejected,
        "data_digest": manifest.data_digest,
        "schema_version": SCHEMA_VERSION,
        "ingested_at": datetime.now(UTC),
    }
    with open_store(settings) as store:
        store.record_dataset(row, class_table(manifest))


def ensure_recorded(settings: Settings, store: "Store", folder: Path) -> None:
    """Give a model that came from elsewhere (another machine, another database) the rows its results refer to."""
    metadata = read_metadata(folder)
    if (settings.manifests / metadata["manifest"]).is_dir() and not store.knows_dataset(metadata["manifest"]):
        record_dataset(settings, find_manifest(settings.manifests, metadata["manifest"]))
    if not store.knows_model(metadata["id"]):
        record_model(settings, folder)


def train(
    settings: Settings,
    recipe: "Recipe",
    manifest_name: str = "latest",
    device: str = "auto",
    sweep: str = "",
    on_epoch: "OnEpoch" = lambda row: None,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Manifest and recipe → model folder. Under ``torchrun`` every process calls this; the first one records."""
    from mri_model.training.distributed import join_world

    open_store(settings).close()
    manifest = find_manifest(settings.manifests, manifest_name)
    folder = fit(settings, recipe, manifest, device, on_epoch, progress)
    if join_world().is_first:
        record_model(settings, folder, sweep)
    return folder


def fit(
    settings: Settings,
    recipe: "Recipe",
    manifest: Manifest,
    device: str = "auto",
    on_epoch: "OnEpoch" = lambda row: None,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Decode once, then train; goes on where an interrupted training of the same recipe stopped."""
    import torch

    from mri_model.data.pixel_store import pack_pixels
    from mri_model.models.network import choose_device
    from mri_model.training.distributed import join_world, own_device
    from mri_model.training.trainer import train as train_network

    world = join_world()
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS cannot repeat itself
    torch.use_deterministic_algorithms(recipe.deterministic)
    chosen = own_device(choose_device(device))
    recipe.model_id(manifest.digest)  # a missing weights file is said before the decoding
    if world.is_first:
        pack_pixels(manifest, recipe.preprocessing, settings.pixels, progress)
    world.wait()
    pixels = pack_pixels(manifest, recipe.preprocessing, settings.pixels)

    def on_step(epoch: int, done: int, total: int) -> None:
        progress(f"epoch {epoch}/{recipe.epochs}", done, total)

    def after_epoch(row: dict[str, Any]) -> None:
        record_epochs(settings, recipe, manifest, str(chosen))
        on_epoch(row)

    return train_network(
        manifest, pixels, recipe, settings.models, chosen, after_epoch, on_step, settings.checkpoint_seconds, world
    )


def train_series(
    settings: Settings,
    recipes: Sequence["Recipe"],
    manifest_name: str = "latest",
    device: str = "auto",
    on_epoch: "OnEpoch" = lambda row: None,
    progress: ProgressCallback = no_progress,
) -> tuple[str, list["Evaluation"]]:
    """Train each recipe and evaluate it on its test split; every model and evaluation is recorded.

    Returns the id that the models share as their sweep (``mri query sweeps`` sums it up), and the evaluations.
    """
    from mri_model.training.distributed import is_distributed

    if is_distributed():
        raise UsageError("several trainings in a row run in one process", "start them without torchrun")
    manifest = find_manifest(settings.manifests, manifest_name)
    sweep = run_id("series")
    evaluations = []
    for recipe in recipes:
        folder = train(settings, recipe, manifest.digest, device, sweep, on_epoch, progress)
        started = time.monotonic()
        evaluation = assess(settings, folder, manifest, "test", device, progress)
        record_evaluation(settings, folder, manifest, "test", evaluation, time.monotonic() - started)
        evaluations.append(evaluation)
    with open_store(settings) as store:
        kind = "folds" if recipes[0].folds else "seeds"
        store.record_sweep({"id": sweep, "kind": kind}, [recipe.model_id(manifest.digest) for recipe in recipes])
    return sweep, evaluations


def cross_validate(
    settings: Settings,
    recipe: "Recipe",
    folds: int,
    manifest_name: str = "latest",
    device: str = "auto",
    on_epoch: "OnEpoch" = lambda row: None,
    progress: ProgressCallback = no_progress,
) -> tuple[str, "Evaluation"]:
    """Grouped cross-validation: one model a fold, each tested on the images that it and its validation never saw.

    Returns the folds' sweep (see ``train_series``), and the evaluation of all their predictions together.
    """
    from mri_model.evaluation.evaluate import pool

    recipes = [replace(recipe, protocol="grouped", folds=folds, fold=fold) for fold in range(1, folds + 1)]
    sweep, evaluations = train_series(settings, recipes, manifest_name, device, on_epoch, progress)
    manifest = find_manifest(settings.manifests, manifest_name)
    return sweep, pool([evaluation.answers for evaluation in evaluations], manifest)


def record_model(settings: Settings, folder: Path, sweep: str = "") -> None:
    """Write a trained model's row and its epochs."""
    metadata = read_metadata(folder)
    with open_store(settings) as store:
        store.record_model(model_row(store, metadata, folder, sweep), read_history(folder))


def record_epochs(settings: Settings, recipe: "Recipe", manifest: Manifest, device: str) -> None:
    """Write the row of a model in training and its epochs so far. A database that is away stops no training: all of it
    is written again when the training is done."""
    folder = settings.models / recipe.model_id(manifest.digest)
    history = read_history(folder)
    facts = {
        "id": folder.name,
        "manifest": manifest.digest,
        "protocol": recipe.protocol,
        "preprocessing": asdict(recipe.preprocessing),
        "recipe": recipe.as_dict(),
        "metrics": history.iloc[int(history["val_f1"].argmax())].to_dict(),
        "epochs": len(history),
        "device": device,
        "seconds": float(history["seconds"].sum()),
    }
    try:
        with open_store(settings) as store:
            store.record_model({**model_row(store, facts, folder), "status": "training"}, history)
    except MriError as error:
        logging.getLogger(__name__).warning("epoch %d is not in the database yet: %s", len(history), error)


def model_row(store: "Store", facts: Mapping[str, Any], folder: Path, sweep: str = "") -> dict[str, Any]:
    """A row of ``model`` from a metadata; the data set is null where this database does not know it."""
    metrics, recipe = facts["metrics"], facts["recipe"]
    return {
        "id": facts["id"],
        "dataset_digest": facts["manifest"] if store.knows_dataset(facts["manifest"]) else None,
        "protocol": facts["protocol"],
        "image_size": facts["preprocessing"]["size"],
        "batch_size": recipe["batch_size"],
        "epochs": facts["epochs"],
        "best_epoch": int(metrics["epoch"]),
        **{name: metrics[name] for name in ("train_accuracy", "val_accuracy", "val_precision", "val_recall", "val_f1")},
        "weights": recipe["weights"],
        "device": facts["device"],
        "seconds": facts["seconds"],
        "created_at": datetime.now(UTC),
        "path": str(folder),
        "recipe": recipe,
    }


def find_model(settings: Settings, name: str = "latest") -> Path:
    """``latest`` (the last one recorded), a model id (or the start of one), or the path of a model folder."""
    if name == "latest":
        with open_store(settings) as store:
            latest = store.latest_model()
        if latest is None:
            raise MriError("nothing has been trained yet", "run: mri train")
        name = latest
    if (Path(name) / "model.json").is_file():
        return Path(name)
    matches = sorted(file.parent for file in settings.models.glob("*/model.json") if file.parent.name.startswith(name))
    if len(matches) != 1:
        raise MriError(f"{len(matches)} models match {name!r}", f"look in {settings.models}, or use latest")
    return matches[0]


def evaluate(
    settings: Settings,
    model_name: str = "latest",
    split: str = "test",
    manifest_name: str = "",
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> tuple[str, "Evaluation"]:
    """Model → evaluation, recorded under the id returned. By default on the manifest it was trained on."""
    folder = find_model(settings, model_name)
    manifest = find_manifest(settings.manifests, manifest_name or read_metadata(folder)["manifest"])
    started = time.monotonic()
    evaluation = assess(settings, folder, manifest, split, device, progress)
    return record_evaluation(settings, folder, manifest, split, evaluation, time.monotonic() - started), evaluation


def assess(
    settings: Settings,
    folder: Path,
    manifest: Manifest,
    split: str,
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> "Evaluation":
    from mri_model.data.pixel_store import pack_pixels
    from mri_model.evaluation.evaluate import check_classes, evaluate_model
    from mri_model.models.artifact import load_model
    from mri_model.models.network import choose_device

    model = load_model(folder, choose_device(device))
    check_classes(model, manifest)
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels, progress)
    return evaluate_model(model, manifest, pixels, split, progress)


def record_evaluation(
    settings: Settings, folder: Path, manifest: Manifest, split: str, evaluation: "Evaluation", seconds: float
) -> str:
    row = {
        "id": run_id("evaluation"),
        "model_id": read_metadata(folder)["id"],
        "dataset_digest": manifest.digest,
        "split": split,
        **evaluation.overall,
        "seconds": round(seconds, 3),
        "created_at": datetime.now(UTC),
    }
    with open_store(settings) as store:
        ensure_recorded(settings, store, folder)
        if not store.knows_dataset(manifest.digest):
            record_dataset(settings, manifest)
        store.record_evaluation(row, evaluation.classes, evaluation.contrasts, evaluation.confusion)
    return row["id"]


def score(
    settings: Settings,
    folder: Path,
    model_name: str = "latest",
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> "Scored":
    """Folder of images → one row for every file, in Parquet and in the database."""
    from mri_model.models.artifact import load_model
    from mri_model.models.network import choose_device
    from mri_model.scoring.run import score_folder

    model = load_model(find_model(settings, model_name), choose_device(device))
    with open_store(settings) as store:
        ensure_recorded(settings, store, model.folder)
        return score_folder(store, model, folder, settings.scores, progress)


def reproduce(
    settings: Settings,
    data: Path,
    recipes: Sequence["Recipe"],
    profile: str = "auto",
    seed: int = 0,
    on_invalid: str = "fail",
    device: str = "auto",
    on_epoch: "OnEpoch" = lambda row: None,
    progress: ProgressCallback = no_progress,
) -> str:
    """The report's experiment: one training a recipe, the best by validation macro-F1 on the test split.

    Returns the evaluation's id; the six tables are then ``report_table_1`` to ``report_table_6``.
    """
    manifest = ingest(settings, data, profile, seed, on_invalid, progress)
    sweep = run_id("sweep")
    folders = [train(settings, recipe, manifest.digest, device, sweep, on_epoch, progress) for recipe in recipes]
    with open_store(settings) as store:
        store.record_sweep({"id": sweep, "kind": "sizes"}, [folder.name for folder in folders])
    return evaluate(settings, str(best_model(folders)), "test", "", device, progress)[0]


def best_model(folders: Sequence[Path]) -> Path:
    """The highest validation macro-F1; of equals the first."""
    return max(folders, key=lambda folder: read_metadata(folder)["metrics"]["val_f1"])
