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
from torch.optim import Optimizer

from mri_model.data.manifest import Manifest, Partition
from mri_model.data.pixel_store import PixelStore, ResidentPixels, nearest_pixels
from mri_model.errors import MriError
from mri_model.evaluation.metrics import summarise
from mri_model.files import atomic, exclusive_lock, write_text
from mri_model.models.artifact import write_model
from mri_model.models.inference import predict
from mri_model.models.network import build_network
from mri_model.report.curves import learning_curves
from mri_model.training.augment import draw, mirror
from mri_model.training.batch import base_batch_size, choose_precision, first_batch_size
from mri_model.training.checkpoint import NAME, Progress, load_checkpoint, save_checkpoint
from mri_model.training.distributed import World, sync_batch_norm
from mri_model.training.optimizer import Loss, build_optimizer, learning_rate, scale_to_batch
from mri_model.training.recipe import Recipe

OnEpoch = Callable[[dict[str, Any]], None]
OnStep = Callable[[int, int, int], None]
"""Called as ``on_step(epoch, images done, images in an epoch)``."""


@dataclass(frozen=True)
class SplitData:
    """The images of one split.

    Attributes:
        positions: Rows of the pixel store, int64 of shape (n,).
        targets: Class indices in the frozen class order, int64 of shape (n,).
    """

    positions: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


def load_split(partition: Partition, name: str) -> SplitData:
    """Raises MriError if the split has no images."""
    rows = partition.rows(name)
    if rows.empty:
        raise MriError(f"the {name} split has no images", "each class needs at least 3 images; ingest more")
    return SplitData(rows.index.to_numpy(), partition.manifest.class_indices(rows["label"]))


def train(
    manifest: Manifest,
    pixels: PixelStore,
    recipe: Recipe,
    models: Path,
    device: torch.device,
    on_epoch: OnEpoch = lambda row: None,
    on_step: OnStep = lambda epoch, done, total: None,
    checkpoint_seconds: float = 60.0,
    world: World = World(),  # noqa: B008  # frozen
) -> Path:
    """Train by the recipe; keep the epoch with the best validation macro-F1; return the model folder.

    A folder that is already complete is returned as it is; one with a checkpoint is gone on with at the step where it
    was written, to the same weights as without the interruption (on a CPU, to the bit). A batch size left to the device
    is halved, and the training begun anew, where it does not fit into the device's memory. In a ``world`` of several
    processes each calls this; the first writes.
    """
    model_id = recipe.model_id(manifest.digest)
    folder = models / model_id
    if world.broadcast((folder / "model.json").is_file()):
        return folder
    if not world.is_first:
        world.wait()  # till the first holds the folder
        train_alone(manifest, pixels, recipe, folder, device, on_epoch, on_step, checkpoint_seconds, world)
        world.wait()
        return folder
    busy = MriError(f"another process is training {model_id}", "wait for it, or change --seed or the recipe")
    with exclusive_lock(folder, busy):
        world.wait()
        if world.size > 1 or not (folder / "model.json").is_file():
            train_alone(manifest, pixels, recipe, folder, device, on_epoch, on_step, checkpoint_seconds, world)
        world.wait()
    return folder


def train_alone(
    manifest: Manifest,
    pixels: PixelStore,
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    on_epoch: OnEpoch,
    on_step: OnStep,
    checkpoint_seconds: float,
    world: World,
) -> None:
    partition = manifest.partition(recipe.protocol, recipe.folds, recipe.fold)
    splits = {name: load_split(partition, name) for name in ("train", "val")}
    batch_size = first_batch_size(recipe, device, len(splits["train"]))
    while True:
        try:
            training = Training(manifest, pixels, recipe, folder, device, splits, batch_size, checkpoint_seconds, world)
            training.run(on_epoch, on_step)
            break
        except torch.OutOfMemoryError:
            (folder / NAME).unlink(missing_ok=True)
            if recipe.batch_size or batch_size <= 2 or world.size > 1:
                hint = "use a smaller --batch-size, or 0 in a single process to have it found"
                raise MriError(f"a batch of {batch_size} does not fit into the device's memory", hint) from None
            batch_size //= 2
    if not world.is_first:
        return
    progress = training.progress
    choices = {"batch_size": progress.batch_size, "precision": progress.precision}
    write_history(folder, progress)
    write_model(
        folder, folder.name, manifest, recipe, progress.best, progress.best_row, progress.history, str(device), choices
    )
    (folder / NAME).unlink(missing_ok=True)


class Training:
    """One training under way: network, optimizer and where it stands."""

    def __init__(
        self,
        manifest: Manifest,
        pixels: PixelStore,
        recipe: Recipe,
        folder: Path,
        device: torch.device,
        splits: dict[str, SplitData],
        batch_size: int,
        checkpoint_seconds: float,
        world: World,
    ) -> None:
        self.world = world
        self.recipe, self.folder, self.device, self.splits = recipe, folder, device, splits
        self.checkpoint_seconds = checkpoint_seconds
        self.pixels = pixels
        self.near: PixelStore | ResidentPixels = nearest_pixels(pixels, device)
        network = build_network(len(manifest.classes), recipe.weights, recipe.seed)
        if world.size > 1:
            sync_batch_norm(network, device)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.spread = world.spread(self.network, device)
        self.loss = Loss(manifest.labels, recipe)
        self.optimizer: Optimizer = build_optimizer(self.network, recipe)
        fresh = Progress(batch_size, choose_precision(recipe, device))
        self.progress = load_checkpoint(folder, self.network, self.optimizer) or fresh
        self.rate_factor = scale_to_batch(recipe, self.progress.batch_size, base_batch_size(recipe))

    def run(self, on_epoch: OnEpoch, on_step: OnStep) -> None:
        progress = self.progress
        while progress.epoch <= self.recipe.epochs:
            before = progress.seconds
            started = time.monotonic()
            self.train_epoch(started - before, on_step)
            validated = self.validate()
            row = {
                "epoch": progress.epoch,
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "train_loss": progress.loss / progress.images,
                "train_accuracy": progress.correct / progress.images,
                **validated,
                "seconds": round(before + time.monotonic() - started, 3),
            }
            progress.next_epoch(row)
            if progress.best_row is row:
                progress.best = {
                    name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()
                }
            if self.world.is_first:
                save_checkpoint(self.folder, self.network, self.optimizer, progress)
                write_history(self.folder, progress)
                on_epoch(row)

    def validate(self) -> dict[str, float]:
        first = self.world.is_first
        validated = validate(self.network, self.pixels, self.splits["val"], self.recipe, self.device) if first else {}
        return self.world.broadcast(validated)

    def train_epoch(self, started: float, on_step: OnStep) -> None:
        """The rest of the epoch under way, in an order drawn from (seed, epoch). Loss and accuracy are running means
        over the pass."""
        progress, split, recipe = self.progress, self.splits["train"], self.recipe
        self.network.train()
        order = np.random.default_rng([recipe.seed, progress.epoch])
        parts = batches(len(split), progress.batch_size, order, at_least=max(2, self.world.size))
        saved = time.monotonic()
        for step in range(progress.steps, len(parts)):
            rate = learning_rate(recipe, (progress.epoch - 1) * len(parts) + step, recipe.epochs * len(parts))
            self.take_step(parts[step], rate * self.rate_factor)
            progress.steps = step + 1
            if not math.isfinite(progress.loss):
                raise MriError(
                    f"the loss is no longer finite at epoch {progress.epoch}, step {step + 1}",
                    "try a smaller --learning-rate",
                )
            on_step(progress.epoch, progress.images, len(split))
            if not self.world.is_first:
                continue
            if time.monotonic() - saved >= self.checkpoint_seconds and progress.steps < len(parts):
                progress.seconds = time.monotonic() - started
                save_checkpoint(self.folder, self.network, self.optimizer, progress)
                saved = time.monotonic()

    def take_step(self, chosen: np.ndarray, rate: float) -> None:
        """One step on the images at ``chosen``, of which this process computes its share."""
        progress, split, world = self.progress, self.splits["train"], self.world
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        own = world.share(chosen)
        images = self.near.batch(split.positions[own]).to(self.device)
        if self.recipe.flip:
            images = mirror(images, world.share(draw(len(chosen), self.generator())))
        targets = torch.from_numpy(split.targets[own]).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=progress.precision == "bf16"):
            logits = self.spread(self.recipe.preprocessing.normalise(images))
        loss = self.loss(logits, targets).sum() / len(chosen)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * world.size).backward()  # the gradients' mean over the processes is then the whole batch's gradient
        self.optimizer.step()
        right = (logits.argmax(1) == targets).sum()
        loss_sum, n_right = world.total(loss.item() * len(chosen), float(right))
        progress.loss += loss_sum
        progress.correct += int(n_right)
        progress.images += len(chosen)

    def generator(self) -> torch.Generator:
        """Drawn anew for each step from (seed, epoch, step), so that a resumed training draws alike."""
        seeds = np.random.SeedSequence([self.recipe.seed, self.progress.epoch, self.progress.steps])
        return torch.Generator().manual_seed(int(seeds.generate_state(1, np.uint64)[0] >> 1))


def batches(n: int, size: int, order: np.random.Generator, at_least: int = 2) -> list[np.ndarray]:
    """A shuffled range cut into batches; a last one too small for batch norm, or for an image a process, joins its
    neighbour."""
    shuffled = order.permutation(n)
    cuts = list(range(size, n, size))
    if cuts and n - cuts[-1] < at_least:
        cuts.pop()
    return np.split(shuffled, cuts)


def validate(
    network: nn.Module, pixels: PixelStore, split: SplitData, recipe: Recipe, device: torch.device
) -> dict[str, float]:
    """Loss, accuracy and macro averages on one split."""
    network.eval()
    positions = split.positions
    logits = predict(network, recipe.preprocessing, pixels, positions, device, tta_hflip=recipe.tta_hflip)
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(split.targets))
    averages = summarise(split.targets, logits.argmax(1).numpy())
    return {
        "val_loss": float(loss),
        "val_accuracy": averages["accuracy"],
        "val_precision": averages["macro_precision"],
        "val_recall": averages["macro_recall"],
        "val_f1": averages["macro_f1"],
    }


def write_history(folder: Path, progress: Progress) -> None:
    """``history.csv``, and its picture ``curves.svg``."""
    with atomic(folder / "history.csv") as temporary:
        pd.DataFrame(progress.history).to_csv(temporary, index=False)
    write_text(folder / "curves.svg", learning_curves(progress.history))
