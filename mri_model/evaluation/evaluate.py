"""A model and a selection of images in, an evaluation out."""

import time
from collections.abc import Sequence
from dataclasses import replace

from mri_model.data.manifest import Manifest
from mri_model.data.pixel_store import PixelStore
from mri_model.evaluation.metrics import Evaluation, Predictions, evaluate_predictions
from mri_model.evaluation.selection import Selection
from mri_model.models.artifact import Model
from mri_model.models.inference import predict
from mri_model.progress import ProgressCallback, no_progress


def evaluate_model(
    model: Model, selection: Selection, pixels: PixelStore, progress: ProgressCallback = no_progress
) -> Evaluation:
    """Evaluate on the images of a manifest that ``selection.select_images`` chose."""
    started = time.monotonic()
    metadata, positions = model.metadata, selection.rows.index.to_numpy()
    found = predict(model.network, model.preprocessing, pixels, positions, model.device, metadata.tta_hflip, progress)
    predictions = Predictions.of_logits(found.logits.numpy(), metadata.temperature, selection.targets, selection.images)
    evaluation = evaluate_predictions(predictions, model.labels)
    seconds = round(time.monotonic() - started, 3)
    return replace(evaluation, model_id=model.id, n_seen=selection.n_seen, seconds=seconds)


def pool(folds: Sequence[Evaluation], manifest: Manifest) -> Evaluation:
    """One evaluation of the predictions of all folds of a cross-validation together."""
    predictions = Predictions.concatenate([fold.predictions for fold in folds])
    pooled = evaluate_predictions(predictions, manifest.labels)
    return replace(pooled, seconds=sum(fold.seconds for fold in folds))
