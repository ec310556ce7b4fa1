"""Random variations of a picture that leave its class alone.

Flips (no class encodes a side), small rotations, shifts and scales, and mild changes of brightness, contrast, gamma
and sharpness: scanners and screenshots differ in these. Nothing inverts or equalises: intensity *is* the contrast.
"""

import math

import torch
from torch.nn import functional as F  # its customary name

ROTATION = math.radians(12)
SHIFT = 0.10
SCALE = 0.15
GAMMA = 0.25
CONTRAST = 0.15
BRIGHTNESS = 0.08
BLUR_SHARE = 0.3
SHARPNESS = (0.4, 0.9)
"""Shift in parts of the width; scale and gamma as a factor's largest distance from 1; contrast and brightness in parts
of full range; a share of the pictures is reduced to a part of its size (``SHARPNESS``) and enlarged again."""

DRAWS = 10


def draw(n: int, generator: torch.Generator) -> torch.Tensor:
    """Uniform numbers, float32 (n, DRAWS) in 0–1, on the CPU: the same variations on every device."""
    return torch.rand(n, DRAWS, generator=generator)


def augment(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """uint8 (n, 3, size, size) and ``draws`` (n, DRAWS) → float32 of the images' shape, 0–255, on their device."""
    draws = draws.to(images.device)
    moved = move(images.float() / 255, draws[:, :5])
    return 255 * retouch(soften(moved, draws[:, 8:10]), draws[:, 5:8])


def move(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Flip, rotate, scale and shift in one resampling; what comes in from outside is black."""
    either_way = draws * 2 - 1
    flip = torch.where(draws[:, 0] < 0.5, -1.0, 1.0)
    angle = either_way[:, 1] * ROTATION
    scale = (either_way[:, 2] * math.log1p(SCALE)).exp()
    across, down = (either_way[:, 3:5] * 2 * SHIFT).unbind(1)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    affine = torch.stack([cos * flip, -sin, across, sin * flip, cos, down], 1).view(-1, 2, 3)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def soften(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Reduce some pictures and enlarge them again, so that sharpness, which tells the source, does not tell the class.

    All of a batch's softened pictures share one size.
    """
    chosen = draws[:, 0] < BLUR_SHARE
    if not chosen.any():
        return images
    low, high = SHARPNESS
    size = images.shape[-1]
    small = max(1, int(size * (low + (high - low) * float(draws[0, 1]))))
    reduced = F.interpolate(images[chosen], (small, small), mode="bilinear", antialias=True)
    softened = images.clone()
    softened[chosen] = F.interpolate(reduced, (size, size), mode="bilinear")
    return softened


def retouch(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    gamma, contrast, brightness = ((draws * 2 - 1)[:, :, None, None, None]).unbind(1)
    curved = images.clamp(1e-4, 1) ** (gamma * math.log1p(GAMMA)).exp()
    return (curved * (1 + contrast * CONTRAST) + brightness * BRIGHTNESS).clamp(0, 1)
