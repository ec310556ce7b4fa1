"""Which regions of an image an answer comes from: Grad-CAM (Selvaraju et al., ICCV 2017)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from mri_model.models.artifact import Model

LAYERS = {"layer4": 32, "layer3": 16, "layer2": 8, "layer1": 4}
"""Groups of blocks of the ResNet, the last one first, with the pixels of the image that a cell of their output covers
in height and width."""

SMALLEST_MAP = 6
"""Height and width in cells of the coarsest output that is used: Grad-CAM's usual 7, or nearly."""


def explained_layer(size: int) -> str:
    """The last group of blocks whose output has enough cells, for images of ``size`` pixels; else the finest one."""
    return next((name for name, cell in LAYERS.items() if size // cell >= SMALLEST_MAP), "layer1")


def grad_cam(model: Model, batch: torch.Tensor, classes: Sequence[int]) -> np.ndarray:
    """Grad-CAM maps on the output of a ResNet block: the last one or, for small images, an earlier one.

    The last output of a small image has so few cells that it says nothing about the place; see ``explained_layer``.

    Each channel is weighted by the mean gradient of the class's logit; the weighted sum, without its negative part, is
    resampled to the image. A model that also looks at the mirror image is explained on the image as it is.

    Args:
        model: A loaded model.
        batch: Stored images, uint8 RGB of shape (n, 3, store_size, store_size).
        classes: The class to explain for each image, n indices.

    Returns:
        float32 of shape (n, store_size, store_size), each in 0–1 with a maximum of 1; all 0 if nothing speaks for the
        class.
    """
    found: list[torch.Tensor] = []

    def keep(_block: Any, _inputs: Any, output: torch.Tensor) -> None:
        found.append(output)

    blocks = getattr(model.network.resnet, explained_layer(model.preprocessing.size))
    hook = blocks[-1].register_forward_hook(keep)
    try:
        with torch.enable_grad():
            images = model.preprocessing.normalize(model.preprocessing.resample(batch.to(model.device)))
            logits = model.network(images.requires_grad_())
            chosen = logits[torch.arange(len(batch)), torch.tensor(classes, device=logits.device)].sum()
            (gradient,) = torch.autograd.grad(chosen, found[0])
    finally:
        hook.remove()
    maps = F.relu((gradient.mean((2, 3), keepdim=True) * found[0]).sum(1, keepdim=True)).detach()
    maps = F.interpolate(maps, size=tuple(batch.shape[2:]), mode="bilinear", align_corners=False)[:, 0]
    highest = maps.amax((1, 2), keepdim=True)
    return (maps / highest.where(highest > 0, torch.ones_like(highest))).float().cpu().numpy()
