"""Manifest and recipe in, trained model folder out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim import SGD

from mri_model.data.manifest import Manifest
from mri_model.data.pixels import PixelStore
from mri_model.errors import MriError
from mri_model.evaluation.metrics import summarise
from mri_model.files import atomic
from mri_model.model import write_model
from mri_model.prediction import predict
from mri_model.training.checkpoint import NAME, Progress, load_checkpoint, save_checkpoint
from mri_model.training.network import build_network
from mri_model.training.recipe import Recipe

OnEpoch = Callable[[dict[str, Any]], None]
OnStep = Callable[[int, int, int], None]
"""Called as ``on_step(epoch, images done, images in an epoch)``."""


@dataclass(frozen=True)
class Side:
    """One side of a split: ``positions`` in the pixel store, ``targets`` (int64) in the frozen class order."""

    positions: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


def take_side(manifest: Manifest, protocol: str, name: str) -> Side:
    """Raises MriError where the side has no images."""
    rows = manifest.side(protocol, name)
    if rows.empty:
        raise MriError(f"the {name} split has no images", "each class needs at least 3 images; ingest more")
    order = {label: index for index, label in enumerate(manifest.classes)}
    return Side(rows.index.to_numpy(), rows["label"].map(order).to_numpy(np.int64, copy=True))


def train(
    manifest: Manifest,
    pixels: PixelStore,
    recipe: Recipe,
    models: Path,
    device: torch.device,
    on_epoch: OnEpoch = lambda row: None,
    on_step: OnStep = lambda epoch, done, total: None,
) -> Path:
    """Train by the recipe; keep the epoch with the best validation macro-F1; return the model folder.

    A folder that is already complete is returned as it is; one with a checkpoint is gone on with after its last epoch,
    to the same weights as without the interruption (on a CPU, to the bit).
    """
    model_id = recipe.model_id(manifest.digest)
    folder = models / model_id
    if (folder / "model.json").is_file():
        return folder
    sides = {name: take_side(manifest, recipe.protocol, name) for name in ("train", "val")}
    network = build_network(len(manifest.classes), recipe.weights, recipe.seed)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    optimizer = SGD(
        network.parameters(), recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    progress = load_checkpoint(folder, network, optimizer)
    for epoch in range(len(progress.history) + 1, recipe.epochs + 1):
        started = time.monotonic()
        learnt = train_epoch(network, optimizer, pixels, sides["train"], recipe, epoch, device, on_step)
        judged = judge(network, pixels, sides["val"], recipe, device)
        row = {"epoch": epoch, "learning_rate": recipe.learning_rate, **learnt, **judged}
        row["seconds"] = round(time.monotonic() - started, 3)
        progress.history.append(row)
        if progress.best_row["epoch"] == epoch:
            progress.best = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        save_checkpoint(folder, network, optimizer, progress)
        write_history(folder, progress)
        on_epoch(row)
    write_history(folder, progress)
    write_model(folder, model_id, manifest, recipe, progress.best, progress.best_row, progress.history, str(device))
    (folder / NAME).unlink(missing_ok=True)
    return folder


def train_epoch(
    network: nn.Module,
    optimizer: SGD,
    pixels: PixelStore,
    side: Side,
    recipe: Recipe,
    epoch: int,
    device: torch.device,
    on_step: OnStep,
) -> dict[str, float]:
    """One pass in an order drawn from (seed, epoch). Loss and accuracy are running means over the pass."""
    network.train()
    loss_sum = correct = done = 0.0
    for step, chosen in enumerate(batches(len(side), recipe.batch_size, np.random.default_rng([recipe.seed, epoch]))):
        images = recipe.preprocessing.normalise(pixels.batch(side.positions[chosen]).to(device))
        targets = torch.from_numpy(side.targets[chosen]).to(device)
        logits = network(images)
        loss = nn.functional.cross_entropy(logits, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(chosen)
        if not math.isfinite(loss_sum):
            raise MriError(
                f"the loss is no longer finite at epoch {epoch}, step {step + 1}",
                "try a smaller --learning-rate",
            )
        correct += int((logits.argmax(1) == targets).sum())
        done += len(chosen)
        on_step(epoch, int(done), len(side))
    return {"train_loss": loss_sum / done, "train_accuracy": correct / done}


def batches(n: int, size: int, order: np.random.Generator) -> list[np.ndarray]:
    """A shuffled range cut into batches; a last one of one image, which batch norm cannot take, joins its neighbour."""
    shuffled = order.permutation(n)
    cuts = list(range(size, n, size))
    if cuts and n - cuts[-1] == 1:
        cuts.pop()
    return np.split(shuffled, cuts)


def judge(network: nn.Module, pixels: PixelStore, side: Side, recipe: Recipe, device: torch.device) -> dict[str, float]:
    """Loss, accuracy and macro averages on one side."""
    network.eval()
    logits = predict(network, recipe.preprocessing, pixels, side.positions, device)
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(side.targets))
    averages = summarise(side.targets, logits.argmax(1).numpy())
    return {
        "val_loss": float(loss),
        "val_accuracy": averages["accuracy"],
        "val_precision": averages["macro_precision"],
        "val_recall": averages["macro_recall"],
        "val_f1": averages["macro_f1"],
    }


def write_history(folder: Path, progress: Progress) -> None:
    with atomic(folder / "history.csv") as temporary:
        pd.DataFrame(progress.history).to_csv(temporary, index=False)
