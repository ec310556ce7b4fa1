"""The end of a training: when the model will give no answer, or several, fitted on the images it was trained with."""

from pathlib import Path

import numpy as np

from mri_model.data.agreement import EDGES
from mri_model.data.same_source import sources_of
from mri_model.evaluation.abstention import OUTLIER_SHARE, SET_LEVEL, set_threshold, upper_quantile
from mri_model.models.artifact import sha256
from mri_model.models.guard import Guard, write_guard
from mri_model.models.inference import Outputs
from mri_model.models.metadata import GuardMetadata
from mri_model.models.reference import Reference, grey_values
from mri_model.models.training_images import TrainingImages

Split = tuple[Outputs, np.ndarray]
"""What the network says about a split's images, and their class indices, int of shape (n,)."""


def fit_abstention(
    folder: Path, train: Split, val: Split, temperature: float, images: TrainingImages
) -> GuardMetadata | None:
    """Fit the guard on training images and all thresholds on validation images, and write ``guard.safetensors``.

    Prediction sets and risks are about answers, so images that the guard refuses do not count for them. Those that it
    lets pass remain exchangeable with new images that it lets pass.

    Returns:
        None, and nothing is written, if a feature or logit is not finite.
    """
    (trained, train_targets), (validated, targets) = train, val
    if not all(np.isfinite(each).all() for each in (trained.features, *validated)):
        return None
    guard = Guard.fit(trained.features.numpy(), train_targets)
    distances = guard.distances(validated.features.numpy())
    limit = upper_quantile(distances, 1 - OUTLIER_SHARE)
    passes = distances <= limit
    probabilities = (validated.logits / temperature).softmax(dim=1).numpy()
    reference = reference_of(probabilities, distances, targets, images)
    return GuardMetadata(
        sha256=sha256(write_guard(folder, guard, reference)),
        distance=limit,
        outlier_share=OUTLIER_SHARE,
        set_level=SET_LEVEL,
        set_probability=set_threshold(probabilities[passes], targets[passes]),
        n_validation=len(targets),
    )


def reference_of(
    probabilities: np.ndarray, distances: np.ndarray, targets: np.ndarray, images: TrainingImages
) -> Reference:
    """The validation images as new images are compared with them."""
    fingerprints = images.fingerprints[~images.is_train]
    brightness, variation = grey_values(fingerprints.thumbnails)
    threshold = images.thresholds[1] if np.isfinite(images.thresholds[1]) else EDGES.default
    return Reference(
        target=targets,
        answer=probabilities.argmax(axis=1),
        probability=probabilities.max(axis=1),
        distance=distances,
        brightness=brightness,
        variation=variation,
        source=sources_of(fingerprints.descriptors, images.mean, threshold),
        mean=images.mean,
        threshold=np.array([threshold]),
    )
