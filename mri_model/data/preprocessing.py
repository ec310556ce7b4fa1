"""The one definition of how an image becomes the network's input: training, evaluation and scoring all use this."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from mri_model.errors import UsageError

INTERPOLATION = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square, then normalise with ImageNet's statistics.

    ``mean`` and ``std`` are those of torchvision's ``ResNet18_Weights.IMAGENET1K_V1.transforms()``, for RGB in 0–1.
    ``resize`` is ``linear`` (what ``cv2.resize`` does unless told otherwise) or ``area`` (no aliasing when shrinking).
    """

    size: int
    resize: Literal["linear", "area"] = "linear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 2048:
            raise UsageError(f"image size {self.size} is out of range", "use 32 to 2048 pixels")
        if self.resize not in INTERPOLATION:
            raise UsageError(f"there is no resize mode {self.resize!r}", f"use one of {', '.join(INTERPOLATION)}")

    def shrink(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 BGR (height, width, 3) → uint8 RGB (3, size, size)."""
        if pixels.strides[2] == 0:  # one plane shown three times: resized once
            return np.repeat(self._resize(pixels[:, :, 0])[None], 3, axis=0)
        return np.ascontiguousarray(self._resize(pixels)[:, :, ::-1].transpose(2, 0, 1))

    def _resize(self, pixels: np.ndarray) -> np.ndarray:
        contiguous = np.ascontiguousarray(pixels)
        return cv2.resize(contiguous, (self.size, self.size), interpolation=INTERPOLATION[self.resize])

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 or float (n, 3, size, size) of 0–255 → float32 of that shape, channels last, on the same device."""
        mean = torch.tensor(self.mean, device=batch.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(3, 1, 1) * 255
        return ((batch.float() - mean) / std).contiguous(memory_format=torch.channels_last)
