"""Which images are unlike the training images: Mahalanobis distance of features from the middle of the network.

See Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS
2018. The features of the last layer, which the paper also uses, do not work here: what fine-tuning does not need, it
removes (``docs/results.md``, section on the guard).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from mri_model.data.hog import HOG_LENGTH
from mri_model.files import atomic
from mri_model.models.network import FEATURES
from mri_model.models.reference import Reference

GUARD_FILE = "guard.safetensors"

RIDGE = 1e-6
"""Added to the variance of every feature, so that the covariance of constant features can be inverted."""


@dataclass(frozen=True)
class Guard:
    """Gaussians with one covariance around the classes.

    Attributes:
        centers: Mean of each class's training images, whitened; float64 of shape (classes with images, features).
        whitening: Features times this have the identity as covariance; float64 of shape (features, features).
    """

    centers: NDArray[np.float64]
    whitening: NDArray[np.float64]

    @classmethod
    def fit(cls, features: np.ndarray, targets: np.ndarray) -> Self:
        """The Gaussians of training images; the covariance is that of Ledoit and Wolf (2004).

        Args:
            features: Finite floats of shape (n, features).
            targets: Class indices, int of shape (n,).
        """
        from sklearn.covariance import ledoit_wolf  # only training needs it

        exact = features.astype(np.float64)
        _, own = np.unique(targets, return_inverse=True)
        means = np.stack([exact[own == each].mean(axis=0) for each in range(own.max() + 1)])
        covariance, _ = ledoit_wolf(exact - means[own], assume_centered=True)
        covariance += RIDGE * np.eye(len(covariance))
        whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
        return cls(means @ whitening, whitening)

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of images from the nearest class.

        Args:
            features: Float of shape (n, features), as ``Resnet18.outputs`` returns them.

        Returns:
            float64 of shape (n,), 0 or more.
        """
        white = features.astype(np.float64) @ self.whitening
        return np.array([np.sqrt(((self.centers - image) ** 2).sum(axis=1).min()) for image in white])


def write_guard(folder: Path, guard: Guard, reference: Reference) -> Path:
    """Write ``guard.safetensors``, about 1.3 MB, and return its path."""
    file = folder / GUARD_FILE
    arrays = {name: np.ascontiguousarray(value) for name, value in (vars(guard) | vars(reference)).items()}
    with atomic(file) as temporary:
        save_file(arrays, temporary)
    return file


def read_guard(content: bytes) -> tuple[Guard, Reference]:
    """The content of ``guard.safetensors``. Raises ValueError if it is damaged."""
    try:
        stored = load(content)
        guard = Guard(**{name: stored.pop(name) for name in Guard.__annotations__ if name in stored})
        return guard, Reference(**stored)
    except (SafetensorError, TypeError) as error:
        raise ValueError(str(error)) from None


def check_guard(guard: Guard, reference: Reference, n_classes: int) -> None:
    """Raises ValueError if the arrays are not those of a model with so many classes."""
    n, known = reference.target.size, guard.centers.size // FEATURES
    whole, exact, single = np.int64, np.float64, np.float32
    expected = {
        "centers": (exact, (known, FEATURES)),
        "whitening": (exact, (FEATURES, FEATURES)),
        "mean": (whole, (HOG_LENGTH,)),
        "threshold": (exact, (1,)),
        **dict.fromkeys(("target", "answer", "source"), (whole, (n,))),
        **dict.fromkeys(("probability", "brightness", "variation"), (single, (n,))),
        "distance": (exact, (n,)),
    }
    for name, array in (vars(guard) | vars(reference)).items():
        if (array.dtype, array.shape) != expected[name]:
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    if not 0 < known <= n_classes or not n:
        raise ValueError(f"{known} centers and {n} validation images for {n_classes} classes")
    for name in ("target", "answer"):
        if not np.isin(getattr(reference, name), range(n_classes)).all():
            raise ValueError(f"{name} has a class that the model does not have")
