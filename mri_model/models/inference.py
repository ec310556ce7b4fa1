"""The one forward pass: validation in training, evaluation and scoring all use it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mri_model.data.pixel_store import PixelStore
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.models.network import Resnet18
from mri_model.progress import ProgressCallback, no_progress

BATCH = 64
"""Images in a forward pass."""


class Outputs(NamedTuple):
    """What the network says about n images, on the CPU.

    Attributes:
        logits: float32 of shape (n, classes).
        features: The guard's features, float32 of shape (n, 384).
    """

    logits: torch.Tensor
    features: torch.Tensor


def forward(
    network: Resnet18,
    preprocessing: Preprocessing,
    batch: torch.Tensor,
    device: torch.device,
    tta_hflip: bool = False,
    precision: str = "fp32",
) -> Outputs:
    """Logits and features of a batch, in halves if it does not fit into the device's memory.

    Args:
        network: In eval mode.
        batch: Stored images, uint8 RGB of shape (n, 3, store_size, store_size), on any device.
        tta_hflip: Mean over each image and its mirror image.
        precision: ``fp32`` or ``bf16``.

    Raises:
        MriError: If not even one image fits.
    """
    try:
        return whole_forward(network, preprocessing, batch, device, tta_hflip, precision)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            hint = "use --device cpu, or free the device"
            raise MriError("not even one image fits into the device's memory", hint) from None
    # outside of the handler, whose traceback keeps the memory of the failed attempt
    halves = batch.split((len(batch) + 1) // 2)
    return joined([forward(network, preprocessing, half, device, tta_hflip, precision) for half in halves])


@torch.inference_mode()
def whole_forward(
    network: Resnet18,
    preprocessing: Preprocessing,
    batch: torch.Tensor,
    device: torch.device,
    tta_hflip: bool,
    precision: str,
) -> Outputs:
    images = preprocessing.normalize(preprocessing.resample(batch.to(device)))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        found = [each.float() for each in network.outputs(images)]
        if tta_hflip:
            mirrored = network.outputs(images.flip(3))
            found = [(own + other.float()) / 2 for own, other in zip(found, mirrored, strict=True)]
    return Outputs(*(each.cpu() for each in found))


def predict(
    network: Resnet18,
    preprocessing: Preprocessing,
    pixels: PixelStore,
    positions: np.ndarray,
    device: torch.device,
    tta_hflip: bool = False,
    progress: ProgressCallback = no_progress,
    precision: str = "fp32",
) -> Outputs:
    """Logits and features of rows of a pixel store."""
    parts = []
    progress("predict", 0, len(positions))
    for start in range(0, len(positions), BATCH):
        chosen = positions[start : start + BATCH]
        parts.append(forward(network, preprocessing, pixels.batch(chosen), device, tta_hflip, precision))
        progress("predict", start + len(chosen), len(positions))
    return joined(parts)


def joined(parts: Sequence[Outputs]) -> Outputs:
    return Outputs(*(torch.cat(each) for each in zip(*parts, strict=True)))
