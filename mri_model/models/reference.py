"""The validation images as the model sees them: what answers about new images are measured by."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DriftState = Literal["yes", "no", "waiting"]
"""Whether a scoring run differs from the validation images; ``waiting``: it has too few images to say so far."""


@dataclass(frozen=True)
class Reference:
    """What the model answered about its validation images, and how these look; n images in the manifest's order.

    Attributes:
        target: True class of each image, int64 of shape (n,).
        answer: The model's, int64 of shape (n,).
        probability: Of the answer, calibrated, float32 of shape (n,).
        distance: From the training images, float64 of shape (n,).
        brightness: Mean grey value, float32 of shape (n,), 0-255.
        variation: Standard deviation of the grey values, float32 of shape (n,).
        source: Number of the source of each image (``data.same_source.sources_of``), int64 of shape (n,).
        mean: 64 times the mean descriptor of the manifest, int64 of shape (1296,).
        threshold: Similarity of edges from which two images count as one source, float64 of shape (1,).
    """

    target: NDArray[np.int64]
    answer: NDArray[np.int64]
    probability: NDArray[np.float32]
    distance: NDArray[np.float64]
    brightness: NDArray[np.float32]
    variation: NDArray[np.float32]
    source: NDArray[np.int64]
    mean: NDArray[np.int64]
    threshold: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each answer is right."""
        return self.answer == self.target


def grey_values(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of the grey values of each thumbnail: float32 of shape (n,)."""
    grey = thumbnails.reshape(len(thumbnails), -1)
    return grey.mean(axis=1, dtype=np.float32), grey.std(axis=1, dtype=np.float32)
