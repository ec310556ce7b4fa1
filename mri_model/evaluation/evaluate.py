"""A model and a manifest in, an evaluation out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mri_model.data.manifest import Manifest
from mri_model.data.pixels import PixelStore
from mri_model.errors import MriError, RefusedError
from mri_model.evaluation.metrics import Evaluation, evaluate_predictions
from mri_model.model import Model
from mri_model.prediction import predict
from mri_model.progress import Tick, silent


def evaluate_model(
    model: Model, manifest: Manifest, pixels: PixelStore, side: str = "test", tick: Tick = silent
) -> Evaluation:
    """Evaluate on one side of the split the model was trained under.

    Raises RefusedError where the manifest's class list is not the model's: classes are never realigned.
    """
    check_classes(model, manifest)
    protocol = model.card["protocol"]
    manifest = manifest.of_fold(model.card["recipe"]["folds"], model.card["recipe"]["fold"])
    rows = manifest.side(protocol, side)
    if rows.empty:
        raise MriError(f"the {side} split has no images", "use train, val or test, or ingest more images")
    positions = rows.index.to_numpy()
    order = {label: index for index, label in enumerate(model.classes)}
    targets = rows["label"].map(order).to_numpy(np.int64, copy=True)
    logits = predict(model.network, model.preprocessing, pixels, positions, model.device, tick, model.flip_average)
    answers = pd.DataFrame(
        {
            "target": targets,
            "predicted": logits.argmax(1).numpy(),
            "twin_free": manifest.twin_free(protocol, side).to_numpy(bool),
            "group": rows["group"].to_numpy(),
        }
    )
    return pool([answers], manifest)


def pool(parts: Sequence[pd.DataFrame], manifest: Manifest) -> Evaluation:
    """One evaluation of the answers (see ``Evaluation``) of one model, or of the folds of a cross-validation."""
    answers = pd.concat(parts, ignore_index=True)
    columns = (answers[name].to_numpy() for name in ("target", "predicted", "twin_free", "group"))
    targets, predicted, twin_free, groups = columns
    evaluation = evaluate_predictions(targets, predicted, manifest.labels, twin_free, groups)
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
