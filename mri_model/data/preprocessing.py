"""How an image becomes the input of the network, in training, evaluation and scoring."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from mri_model.errors import UsageError

INTERPOLATION = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square and normalise with the statistics of ImageNet.

    Attributes:
        size: Height and width of the result, 32 to 2048 pixels.
        resize: ``linear`` (the default of ``cv2.resize``) or ``area`` (avoids aliasing when shrinking).
        mean: Of each channel, for RGB in 0 to 1; as in torchvision's ``ResNet18_Weights.IMAGENET1K_V1``.
        std: Standard deviation of each channel, from the same source.

    Raises:
        UsageError: If ``size`` or ``resize`` is not one of these.
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
        """Resize one image: uint8 BGR of shape (height, width, 3) to uint8 RGB of shape (3, size, size)."""
        if pixels.strides[2] == 0:  # a view of one channel, which is resized once
            return np.repeat(self._resize(pixels[:, :, 0])[None], 3, axis=0)
        return np.ascontiguousarray(self._resize(pixels)[:, :, ::-1].transpose(2, 0, 1))

    def _resize(self, pixels: np.ndarray) -> np.ndarray:
        contiguous = np.ascontiguousarray(pixels)
        return cv2.resize(contiguous, (self.size, self.size), interpolation=INTERPOLATION[self.resize])

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """Normalise a batch.

        Args:
            batch: uint8 or float RGB, 0 to 255, shape (n, 3, size, size).

        Returns:
            float32 of the same shape on the same device, in channels-last memory order.
        """
        mean = torch.tensor(self.mean, device=batch.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(3, 1, 1) * 255
        return ((batch.float() - mean) / std).contiguous(memory_format=torch.channels_last)
