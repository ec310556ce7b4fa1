"""Random variations of a picture that leave its class alone: its mirror image, for no class encodes a split. Rotations,
shifts and scales cost accuracy on this data, and intensity *is* the contrast (``docs/results.md``)."""

import torch


def mirror(images: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """(n, channels, height, width), and bool (n) on any device → the same, the chosen ones turned left to right."""
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def draw(n: int, generator: torch.Generator) -> torch.Tensor:
    """Which of n images to mirror: bool (n), half of them on average, on the CPU: the same on every device."""
    return torch.rand(n, generator=generator) < 0.5
