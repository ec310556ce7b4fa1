"""A model and a manifest in, an evaluation out."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mri_model.data.fingerprints import read_fingerprints
from mri_model.data.manifest import Manifest
from mri_model.data.pixel_store import PixelStore
from mri_model.errors import MriError, RefusedError
from mri_model.evaluation.metrics import Evaluation, Predictions, evaluate_predictions
from mri_model.models.artifact import Model
from mri_model.models.inference import predict
from mri_model.models.training_images import read_training_images
from mri_model.progress import ProgressCallback, no_progress


def evaluate_model(
    model: Model, manifest: Manifest, pixels: PixelStore, split: str = "test", progress: ProgressCallback = no_progress
) -> Evaluation:
    """Evaluate on one split of the partition the model was trained under.

    On a manifest that the model was not trained on, images that it was trained on or chosen by are left out and
    counted, whatever they are called there.

    Raises:
        RefusedError: If the manifest's class list is not the model's (classes are never realigned), or if the model has
            seen all images.
        MriError: If the split has no images, or nothing says which images the model was trained on.
    """
    started = time.monotonic()
    check_classes(model, manifest)
    rows, free, n_seen = unseen_rows(model, manifest, split)
    logits = predict(
        model.network,
        model.preprocessing,
        pixels,
        rows.index.to_numpy(),
        model.device,
        model.metadata.tta_hflip,
        progress,
    )
    predictions = Predictions(
        targets=manifest.class_indices(rows["label"]),
        predicted=logits.argmax(1).numpy(),
        duplicate_free=free,
        groups=rows["group"].to_numpy(object),
    )
    evaluation = evaluate_predictions(predictions, manifest.labels)
    return replace(evaluation, model_id=model.id, n_seen=n_seen, seconds=round(time.monotonic() - started, 3))


def unseen_rows(model: Model, manifest: Manifest, split: str) -> tuple[pd.DataFrame, np.ndarray, int]:
    """The images of a split to evaluate on.

    Returns:
        Their rows; which of them are free of near duplicates and of images of their source in training, bool of shape
        (rows,); and the number of images left out because the model has seen them.
    """
    partition = model.metadata.partition(manifest)
    rows = partition.rows(split)
    if rows.empty:
        raise MriError(f"the {split} split has no images", "use train, val or test, or ingest more images")
    fingerprints = read_fingerprints(manifest.folder, len(manifest.frame))[rows.index.to_numpy()]
    images = read_training_images(model.folder)
    free = ~images.related(rows, fingerprints)
    if manifest.digest == model.metadata.manifest:
        return rows, free & partition.duplicate_free(split).to_numpy(bool), 0
    seen = images.seen(rows, fingerprints)
    if seen.all():
        raise RefusedError(
            f"model {model.id} was trained on or chosen by all {len(rows)} {split} images of {manifest.digest}",
            "evaluate it on the manifest it was trained on, or on other images",
        )
    return rows[~seen], free[~seen], int(seen.sum())


def pool(folds: Sequence[Evaluation], manifest: Manifest) -> Evaluation:
    """One evaluation of the predictions of all folds of a cross-validation together."""
    predictions = Predictions.concatenate([fold.predictions for fold in folds])
    pooled = evaluate_predictions(predictions, manifest.labels)
    return replace(pooled, seconds=sum(fold.seconds for fold in folds))


def check_classes(model: Model, manifest: Manifest) -> None:
    """Raises RefusedError if model and manifest differ in their classes or in their order."""
    if model.classes == manifest.classes:
        return
    unknown = sorted(set(manifest.classes) - set(model.classes))
    missing = sorted(set(model.classes) - set(manifest.classes))
    parts = [f"the model does not know {', '.join(unknown[:5])}"] if unknown else []
    parts += [f"the data lacks {', '.join(missing[:5])}"] if missing else []
    why = "; ".join(parts) or "their order differs"
    raise RefusedError(
        f"model {model.id} and manifest {manifest.digest} have different classes: {why}",
        "give the classes the same names (mri ingest --map OLD=NEW), or train a model on this data set",
    )
