"""Rows of the results database, built from the library's types."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mri_model.data.manifest import SCHEMA_VERSION, Manifest
from mri_model.evaluation.metrics import Evaluation
from mri_model.models.metadata import EpochMetrics, ModelMetadata, RecipeFields, best_epoch

Row = dict[str, Any]


def dataset_row(manifest: Manifest) -> Row:
    n_rejected = int((manifest.frame["status"] == "rejected").sum())
    return {
        "digest": manifest.digest,
        "profile": manifest.profile,
        "root": manifest.shown_root,
        "seed": manifest.seed,
        "n_files": len(manifest.frame),
        "n_ok": len(manifest.frame) - n_rejected,
        "n_rejected": n_rejected,
        "data_digest": manifest.data_digest,
        "schema_version": SCHEMA_VERSION,
        "ingested_at": datetime.now(UTC),
    }


def model_row(metadata: ModelMetadata, folder: Path, dataset_digest: str | None) -> Row:
    """``dataset_digest`` is None if the database does not know the data set."""
    return {
        "id": metadata.id,
        "dataset_digest": dataset_digest,
        "epochs": metadata.epochs,
        "device": metadata.device,
        "seconds": metadata.seconds,
        "created_at": datetime.fromisoformat(metadata.created_at),
        "path": str(folder),
        "status": "trained",
        "sha256": metadata.sha256,
        "temperature": metadata.temperature,
        "preprocessing": asdict(metadata.preprocessing),
        **recipe_columns(metadata.recipe),
        **best_columns(metadata.metrics),
    }


def training_row(
    recipe: RecipeFields, folder: Path, history: list[EpochMetrics], device: str, dataset_digest: str | None
) -> Row:
    """The row of a model whose training has finished the epochs in ``history``."""
    return {
        "id": folder.name,
        "dataset_digest": dataset_digest,
        "epochs": len(history),
        "device": device,
        "seconds": sum(row.seconds for row in history),
        "created_at": datetime.now(UTC),
        "path": str(folder),
        "status": "training",
        **recipe_columns(recipe),
        **best_columns(best_epoch(history)),
    }


def recipe_columns(recipe: RecipeFields) -> Row:
    names = ("protocol", "image_size", "batch_size", "weights")
    fold = {name: recipe[name] or None for name in ("fold", "folds")}
    return {**{name: recipe[name] for name in names}, **fold, "recipe": dict(recipe)}


def best_columns(best: EpochMetrics) -> Row:
    names = ("train_accuracy", "val_accuracy", "val_precision", "val_recall", "val_f1")
    return {"best_epoch": best.epoch, **{name: getattr(best, name) for name in names}}


def epoch_rows(history: list[EpochMetrics]) -> list[Row]:
    return [asdict(row) for row in history]


def evaluation_row(owner: dict[str, str], dataset_digest: str, split: str, evaluation: Evaluation) -> Row:
    """``owner`` is ``{"model_id": …}`` or, for the pooled folds of a cross-validation, ``{"sweep_id": …}``."""
    return {
        "id": evaluation.id,
        **owner,
        "dataset_digest": dataset_digest,
        "split": split,
        **asdict(evaluation.overall),
        "n_seen": evaluation.n_seen,
        "seconds": evaluation.seconds,
        "created_at": datetime.now(UTC),
    }
