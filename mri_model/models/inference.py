"""The one forward pass: validation in training, evaluation and scoring all use it."""

import numpy as np
import torch
from torch import nn

from mri_model.data.pixel_store import PixelStore
from mri_model.data.preprocessing import Preprocessing
from mri_model.progress import ProgressCallback, no_progress

BATCH = 64
"""Images in a forward pass."""


@torch.inference_mode()
def forward(
    network: nn.Module,
    preprocessing: Preprocessing,
    batch: torch.Tensor,
    device: torch.device,
    tta_hflip: bool = False,
    precision: str = "fp32",
) -> torch.Tensor:
    """Logits of a batch.

    Args:
        network: In eval mode.
        batch: Stored images, uint8 RGB of shape (n, 3, store_size, store_size), on any device.
        tta_hflip: Mean of the logits of each image and of its mirror image.
        precision: ``fp32`` or ``bf16``.

    Returns:
        float32 of shape (n, classes), on the CPU.
    """
    images = preprocessing.normalize(preprocessing.resample(batch.to(device)))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = network(images).float()
        if tta_hflip:
            logits = (logits + network(images.flip(3)).float()) / 2
    return logits.cpu()


def predict(
    network: nn.Module,
    preprocessing: Preprocessing,
    pixels: PixelStore,
    positions: np.ndarray,
    device: torch.device,
    tta_hflip: bool = False,
    progress: ProgressCallback = no_progress,
    precision: str = "fp32",
) -> torch.Tensor:
    """Logits of rows of a pixel store, float32 of shape (len(positions), classes), on the CPU."""
    parts = []
    progress("predict", 0, len(positions))
    for start in range(0, len(positions), BATCH):
        chosen = positions[start : start + BATCH]
        parts.append(forward(network, preprocessing, pixels.batch(chosen), device, tta_hflip, precision))
        progress("predict", start + len(chosen), len(positions))
    return torch.cat(parts)
