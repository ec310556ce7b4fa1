"""The one definition of how an image becomes the network's input: training, evaluation and scoring all use it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mri_model.errors import UsageError
from mri_model.options import MAX_SIZE, MAX_STORE_SCALE, MIN_SIZE, Resize

if TYPE_CHECKING:  # model metadata is read without PyTorch
    import torch

INTERPOLATION: dict[Resize, int] = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}


BRIGHT = 16
BRIGHT_SHARE = 0.02
"""A row or column shows the head if more than this share of its pixels has a grey value above ``BRIGHT``."""

MIN_STD = 0.001
"""Smallest standard deviation of a channel, of values in 0-1: less than a grey level of 1 / 255."""

SMALLEST_HEAD = 0.25
"""Share of the image's height and width below which a head is not believed, and the whole image is used."""


@dataclass(frozen=True)
class Preprocessing:
    """Crop to the head, resize to a square, store, resample to the network's size, normalize.

    Images are stored larger than the network's input, so that random crops and rotations resample them only once and
    downwards. Evaluation and scoring resample the whole stored image in the same way, so that training and test images
    are equally sharp.

    Attributes:
        size: Height and width of the network's input, pixels.
        resize: ``linear`` (the default of ``cv2.resize``) or ``area`` (no aliasing when shrinking).
        store_scale: Height and width of a stored image, as a multiple of ``size``. At 1 nothing is resampled.
        crop_to_head: Whether to leave out dark margins, see ``head_box``.
        mean: Mean of each RGB channel in 0–1, as in torchvision's ``ResNet18_Weights.IMAGENET1K_V1.transforms()``.
        std: Standard deviation of each channel, from the same source.
    """

    size: int
    resize: Resize = "linear"
    store_scale: float = 1.0
    crop_to_head: bool = False
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise UsageError(f"image size {self.size} is out of range", f"use {MIN_SIZE} to {MAX_SIZE} pixels")
        if self.resize not in INTERPOLATION:
            raise UsageError(f"there is no resize mode {self.resize!r}", f"use one of {', '.join(INTERPOLATION)}")
        if not 1 <= self.store_scale <= MAX_STORE_SCALE:
            raise UsageError(f"store scale {self.store_scale} is out of range", f"use 1 to {MAX_STORE_SCALE}")
        if not all(0 <= each <= 1 for each in self.mean) or not all(MIN_STD <= each <= 1 for each in self.std):
            raise UsageError("a mean or standard deviation is out of range", f"use 0 to 1, and {MIN_STD} to 1")

    @property
    def store_size(self) -> int:
        """Height and width of a stored image, pixels."""
        return round(self.size * self.store_scale)

    @property
    def store_key(self) -> str:
        """Identifies what decides the stored pixels."""
        return f"{self.store_size}-{self.resize}" + ("-head" if self.crop_to_head else "")

    def shrink(self, pixels: np.ndarray) -> np.ndarray:
        """The image to store: uint8 BGR (height, width, 3) → uint8 RGB (3, store_size, store_size)."""
        if self.crop_to_head:
            pixels = pixels[head_box(pixels)]
        if pixels.strides[2] == 0:  # one plane shown three times is resized once
            return np.repeat(self._resize(pixels[:, :, 0])[None], 3, axis=0)
        return np.ascontiguousarray(self._resize(pixels)[:, :, ::-1].transpose(2, 0, 1))

    def _resize(self, pixels: np.ndarray) -> np.ndarray:
        contiguous = np.ascontiguousarray(pixels)
        return cv2.resize(contiguous, (self.store_size, self.store_size), interpolation=INTERPOLATION[self.resize])

    def resample(self, batch: "torch.Tensor", placement: "torch.Tensor | None" = None) -> "torch.Tensor":
        """Stored images at the network's size, by one bilinear resampling.

        At the usual store scale of 1.5 no filter against aliasing is needed: the sampling points of a whole image lie a
        quarter of a pixel beside the pixels' centers, which blurs as much as random positions do on average.

        Args:
            batch: uint8 RGB of shape (n, 3, store_size, store_size).
            placement: Affine maps, float32 of shape (n, 2, 3): where a point of the result lies in the stored image.
                Both have coordinates (x, y) from -1 to 1, edge to edge. Points outside the stored image are black.
                None: the whole stored image.

        Returns:
            uint8 or float32 of 0–255, of shape (n, 3, size, size), on the batch's device.
        """
        import torch
        from torch.nn import functional as F

        if placement is None and batch.shape[-1] == self.size:
            return batch
        if placement is None:
            placement = torch.eye(2, 3).expand(len(batch), 2, 3)
        grid = F.affine_grid(placement.to(batch.device), [len(batch), 3, self.size, self.size], align_corners=False)
        return F.grid_sample(batch.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def normalize(self, batch: "torch.Tensor") -> "torch.Tensor":
        """uint8 or float (n, 3, size, size) of 0–255 → float32 of that shape, channels last, on the same device."""
        import torch

        mean = torch.tensor(self.mean, device=batch.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(3, 1, 1) * 255
        return ((batch.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def head_box(pixels: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold the head.

    From the first to the last row, and column, where more than ``BRIGHT_SHARE`` of the pixels are brighter than
    ``BRIGHT``. If that is nothing, or less than ``SMALLEST_HEAD`` of a side, the whole image.

    Args:
        pixels: uint8 of shape (height, width, 3).
    """
    bright = (pixels[:, :, 0] if pixels.strides[2] == 0 else pixels.max(axis=2)) > BRIGHT
    rows, columns = (span(bright.mean(axis=axis)) for axis in (1, 0))
    if rows is None or columns is None:
        return slice(None), slice(None)
    return rows, columns


def span(shares: np.ndarray) -> slice | None:
    """From the first to the last share above ``BRIGHT_SHARE``; None if that is too short."""
    found = np.flatnonzero(shares > BRIGHT_SHARE)
    if not len(found) or found[-1] + 1 - found[0] < SMALLEST_HEAD * len(shares):
        return None
    return slice(int(found[0]), int(found[-1]) + 1)
