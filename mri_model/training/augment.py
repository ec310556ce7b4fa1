"""Random changes to a training image that keep its class.

No class encodes a side, so an image may be mirrored. Intensity defines the contrast, so it is changed only a little.
All random numbers are drawn on the CPU, once for the whole batch, so they are the same for every device and number of
processes.
"""

import math

import torch

from mri_model.training.recipe import Recipe

NUMBERS = 8
"""Random numbers of an image: mirrored, area, aspect ratio, x, y, angle, gain, offset."""


def draw(n: int, generator: torch.Generator) -> torch.Tensor:
    """The random numbers of n images, uniform in 0–1: float32 of shape (n, ``NUMBERS``), on the CPU."""
    return torch.rand(n, NUMBERS, generator=generator)


def augment(batch: torch.Tensor, numbers: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Stored images → changed images at the network's size.

    Args:
        batch: uint8 RGB of shape (n, 3, store_size, store_size).
        numbers: Of these images, see ``draw``.

    Returns:
        uint8 or float32 of 0–255, of shape (n, 3, size, size), on the batch's device.
    """
    moved = recipe.hflip or recipe.crop_area < 1 or recipe.crop_aspect > 0 or recipe.rotation > 0
    images = recipe.preprocessing.resample(batch, placement(numbers, recipe) if moved else None)
    return jitter(images, numbers, recipe)


def placement(numbers: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Where the images are cut out, see ``Preprocessing.resample``: a crop, rotated about its center and mirrored.

    The logarithm of the aspect ratio is uniform. A crop that is wider or higher than the image is cut to it.
    """
    mirrored, area, aspect, x, y, angle = numbers[:, :6].T
    area = 1 - (1 - recipe.crop_area) * area
    ratio = torch.exp((2 * aspect - 1) * math.log1p(recipe.crop_aspect))
    width, height = ((area * of).sqrt().clamp(max=1) for of in (ratio, 1 / ratio))
    center_x, center_y = (2 * x - 1) * (1 - width), (2 * y - 1) * (1 - height)
    turn = (2 * angle - 1) * math.radians(recipe.rotation)
    sign = torch.where(mirrored < 0.5, -1.0, 1.0) if recipe.hflip else 1.0
    horizontal = torch.stack([turn.cos() * width * sign, -turn.sin() * height, center_x], dim=1)
    vertical = torch.stack([turn.sin() * width * sign, turn.cos() * height, center_y], dim=1)
    return torch.stack([horizontal, vertical], dim=1)


def jitter(images: torch.Tensor, numbers: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Multiply and shift the grey values of each image, within 0–255."""
    if not (recipe.intensity_gain or recipe.intensity_offset):
        return images
    spread = (2 * numbers[:, 6:].to(images.device) - 1).view(-1, 2, 1, 1, 1)
    gain, offset = 1 + recipe.intensity_gain * spread[:, 0], recipe.intensity_offset * spread[:, 1]
    return (images * gain + offset).clamp(0, 255)
