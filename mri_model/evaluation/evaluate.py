"""A model and a manifest in, an evaluation out."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from mri_model.data.manifest import Manifest
from mri_model.data.pixel_store import PixelStore
from mri_model.errors import MriError, RefusedError
from mri_model.evaluation.metrics import Evaluation, evaluate_predictions
from mri_model.models.artifact import Model
from mri_model.models.inference import predict
from mri_model.progress import ProgressCallback, no_progress


def evaluate_model(
    model: Model, manifest: Manifest, pixels: PixelStore, split: str = "test", progress: ProgressCallback = no_progress
) -> Evaluation:
    """Evaluate on one split of the split the model was trained under.

    Raises RefusedError where the manifest's class list is not the model's: classes are never realigned.
    """
    check_classes(model, manifest)
    recipe = model.metadata["recipe"]
    partition = manifest.partition(model.metadata["protocol"], recipe["folds"], recipe["fold"])
    rows = partition.rows(split)
    if rows.empty:
        raise MriError(f"the {split} split has no images", "use train, val or test, or ingest more images")
    positions = rows.index.to_numpy()
    targets = manifest.class_indices(rows["label"])
    logits = predict(model.network, model.preprocessing, pixels, positions, model.device, progress, model.tta_hflip)
    answers = pd.DataFrame(
        {
            "target": targets,
            "predicted": logits.argmax(1).numpy(),
            "duplicate_free": partition.duplicate_free(split).to_numpy(bool),
            "group": rows["group"].to_numpy(),
        }
    )
    return pool([answers], manifest)


def pool(parts: Sequence[pd.DataFrame], manifest: Manifest) -> Evaluation:
    """One evaluation of the answers (see ``Evaluation``) of one model, or of the folds of a cross-validation."""
    answers = pd.concat(parts, ignore_index=True)
    columns = (answers[name].to_numpy() for name in ("target", "predicted", "duplicate_free", "group"))
    targets, predicted, duplicate_free, groups = columns
    evaluation = evaluate_predictions(targets, predicted, manifest.labels, duplicate_free, groups)
    return replace(evaluation, answers=answers)


def check_classes(model: Model, manifest: Manifest) -> None:
    if model.classes == manifest.classes:
        return
    unknown = sorted(set(manifest.classes) - set(model.classes))
    absent = sorted(set(model.classes) - set(manifest.classes))
    parts = [f"the model does not know {', '.join(unknown[:5])}"] if unknown else []
    parts += [f"the data lacks {', '.join(absent[:5])}"] if absent else []
    why = "; ".join(parts) or "their order differs"
    raise RefusedError(
        f"model {model.id} and manifest {manifest.digest} have different classes: {why}",
        "evaluate on the data set it was trained on, or train a model on this one",
    )
