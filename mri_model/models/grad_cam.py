"""Which regions of an image an answer comes from: Grad-CAM (Selvaraju et al., ICCV 2017)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from mri_model.models.artifact import Model


def grad_cam(model: Model, batch: torch.Tensor, classes: Sequence[int]) -> np.ndarray:
    """Grad-CAM maps on the output of the last ResNet block.

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

    hook = model.network.resnet.layer4[-1].register_forward_hook(keep)
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
