"""Optimizer, learning rate and loss of a recipe."""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer

from mri_model.data.labels import Label
from mri_model.training.recipe import Recipe

WARM_UP = 0.25
START = 0.04
"""One cycle: over the first ``WARM_UP`` of the steps the rate rises along a cosine from ``START`` times its peak,
then it falls to 0 (Smith and Topin, 2018, as in PyTorch's OneCycleLR)."""


def build_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer. Weight decay acts on matrices and kernels, not on normalization layers and biases."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return AdamW(groups, recipe.learning_rate, betas=(recipe.momentum, 0.999))
    return SGD(groups, recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of step ``step`` (from 0) of ``steps``, before it is scaled to the batch size."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    rise = WARM_UP * steps
    if step < rise:
        share = START + (1 - START) * (1 - math.cos(math.pi * step / rise)) / 2
    else:
        share = (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2
    return recipe.learning_rate * share


def scale_to_batch(recipe: Recipe, batch_size: int, base: int) -> float:
    """Factor on the learning rate for another batch size than the one it was chosen for.

    Linear for SGD (Goyal et al., 2017), the square root for Adam (Malladi et al., 2022).
    """
    ratio = batch_size / base
    return ratio if recipe.optimizer == "sgd" else math.sqrt(ratio)


class Loss(nn.Module):
    """Cross-entropy of the class plus ``aux_loss_weight`` times that of its tumor alone and of its contrast alone.

    ``forward`` maps logits of shape (n, classes) and targets, int64 (n,), to one loss per image, float32 (n,).
    """

    def __init__(self, labels: tuple[Label, ...], recipe: Recipe) -> None:
        super().__init__()
        self.smoothing = recipe.label_smoothing
        self.aux_loss_weight = recipe.aux_loss_weight
        self.parts = [membership([label.tumor for label in labels]), membership([label.contrast for label in labels])]
        self.parts = [part for part in self.parts if 1 < part.shape[1] < len(labels)]

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = logits.float()
        losses = F.cross_entropy(logits, targets, label_smoothing=self.smoothing, reduction="none")
        if not self.aux_loss_weight:
            return losses
        for part in self.parts:
            shares = logits.softmax(1) @ part.to(logits.device)
            wanted = part.to(logits.device)[targets].argmax(1)
            losses = losses + self.aux_loss_weight * F.nll_loss(shares.clamp_min(1e-7).log(), wanted, reduction="none")
        return losses


def membership(names: list[str] | list[str | None]) -> torch.Tensor:
    """Which class has which name: 0 or 1, float32 of shape (classes, distinct names)."""
    order = {name: position for position, name in enumerate(sorted({str(name) for name in names}))}
    return F.one_hot(torch.tensor([order[str(name)] for name in names]), len(order)).float()
