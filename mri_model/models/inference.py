"""The one forward pass: training's validation, evaluation and scoring all go through it."""

import numpy as np
import torch
from torch import nn

from mri_model.data.pixel_store import PixelStore
from mri_model.data.preprocessing import Preprocessing
from mri_model.progress import ProgressCallback, no_progress

BATCH = 64


@torch.inference_mode()
def forward(
    network: nn.Module,
    preprocessing: Preprocessing,
    batch: torch.Tensor,
    device: torch.device,
    tta_hflip: bool = False,
) -> torch.Tensor:
    """uint8 RGB (n, 3, size, size) → float32 logits (n, classes) on the CPU. The network must be in eval mode.

    ``tta_hflip`` gives the mean of the logits of each image and of its mirror image.
    """
    images = preprocessing.normalise(batch.to(device))
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
    progress: ProgressCallback = no_progress,
    tta_hflip: bool = False,
) -> torch.Tensor:
    """Logits, float32 (n, classes), for rows of a pixel store."""
    parts = []
    progress("predict", 0, len(positions))
    for start in range(0, len(positions), BATCH):
        chosen = positions[start : start + BATCH]
        parts.append(forward(network, preprocessing, pixels.batch(chosen), device, tta_hflip))
        progress("predict", start + len(chosen), len(positions))
    return torch.cat(parts)
