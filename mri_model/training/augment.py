"""Random variations of a picture that leave its class alone: flips (no class encodes a side), small rotations, shifts
and scales. Nothing touches intensity, which *is* the contrast; softening and mild changes of it did not help either
(``docs/results.md``)."""

import math

import torch
from torch.nn import functional as F

ROTATION = math.radians(12)
SHIFT = 0.10
SCALE = 0.15
"""Shift in parts of the width; scale as a factor's largest distance from 1."""

DRAWS = 5


def draw(n: int, generator: torch.Generator) -> torch.Tensor:
    """Uniform numbers, float32 (n, DRAWS) in 0–1, on the CPU: the same variations on every device."""
    return torch.rand(n, DRAWS, generator=generator)


def augment(images: torch.Tensor, draws: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (n, 3, height, width) and ``draws`` (n, DRAWS) → float32 (n, 3, size, size), 0–255, on the images' device.

    One resampling of all variations together; what comes in from outside is black.
    """
    either_way = draws.to(images.device) * 2 - 1
    flip = torch.where(either_way[:, 0] < 0, -1.0, 1.0)
    angle = either_way[:, 1] * ROTATION
    scale = (either_way[:, 2] * math.log1p(SCALE)).exp()
    across, down = (either_way[:, 3:5] * 2 * SHIFT).unbind(1)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    affine = torch.stack([cos * flip, -sin, across, sin * flip, cos, down], 1).view(-1, 2, 3)
    grid = F.affine_grid(affine, [*images.shape[:2], size, size], align_corners=False)
    return F.grid_sample(images.float(), grid, align_corners=False)
