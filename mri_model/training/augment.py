"""Random changes to a training image that keep its class: its mirror image, since no class encodes a side.

Intensity is left alone, because it defines the contrast.
"""

import torch


def mirror(images: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Mirror some images left to right.

    Args:
        images: Of shape (n, channels, height, width).
        chosen: bool of shape (n,), on any device.
    """
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def draw(n: int, generator: torch.Generator) -> torch.Tensor:
    """Which of n images to mirror, on average half: bool of shape (n,), on the CPU and so the same for every device."""
    return torch.rand(n, generator=generator) < 0.5
