"""The one definition of how an image becomes the network's input: training, evaluation and scoring all use it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mri_model.errors import UsageError
from mri_model.options import MAX_SIZE, MIN_SIZE, Resize

if TYPE_CHECKING:  # model metadata is read without PyTorch
    import torch

INTERPOLATION: dict[Resize, int] = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square, then normalize with ImageNet's statistics.

    Attributes:
        size: Height and width of the network's input, pixels.
        resize: ``linear`` (the default of ``cv2.resize``) or ``area`` (no aliasing when shrinking).
        mean: Mean of each RGB channel in 0–1, as in torchvision's ``ResNet18_Weights.IMAGENET1K_V1.transforms()``.
        std: Standard deviation of each channel, from the same source.
    """

    size: int
    resize: Resize = "linear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise UsageError(f"image size {self.size} is out of range", f"use {MIN_SIZE} to {MAX_SIZE} pixels")
        if self.resize not in INTERPOLATION:
            raise UsageError(f"there is no resize mode {self.resize!r}", f"use one of {', '.join(INTERPOLATION)}")

    def shrink(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 BGR (height, width, 3) → uint8 RGB (3, size, size)."""
        if pixels.strides[2] == 0:  # one plane shown three times is resized once
            return np.repeat(self._resize(pixels[:, :, 0])[None], 3, axis=0)
        return np.ascontiguousarray(self._resize(pixels)[:, :, ::-1].transpose(2, 0, 1))

    def _resize(self, pixels: np.ndarray) -> np.ndarray:
        contiguous = np.ascontiguousarray(pixels)
        return cv2.resize(contiguous, (self.size, self.size), interpolation=INTERPOLATION[self.resize])

    def normalize(self, batch: "torch.Tensor") -> "torch.Tensor":
        """uint8 or float (n, 3, size, size) of 0–255 → float32 of that shape, channels last, on the same device."""
        import torch

        mean = torch.tensor(self.mean, device=batch.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(3, 1, 1) * 255
        return ((batch.float() - mean) / std).contiguous(memory_format=torch.channels_last)
