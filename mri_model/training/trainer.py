"""A manifest and a recipe in, a trained model folder out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from mri_model.data.manifest import Manifest, Partition
from mri_model.data.medical.choice import SliceChoice
from mri_model.data.pixel_store import PixelStore, ResidentPixels, nearest_pixels
from mri_model.data.profile import load_profile
from mri_model.errors import MriError
from mri_model.evaluation.calibration import fit_temperature
from mri_model.evaluation.metrics import Averages, summarize
from mri_model.files import exclusive_lock
from mri_model.models.artifact import INTENDED_USE, git_commit, versions, write_weights
from mri_model.models.inference import Outputs, predict
from mri_model.models.metadata import EpochMetrics, ModelMetadata, write_history, write_metadata
from mri_model.models.network import Resnet18, build_network
from mri_model.models.training_images import TrainingImages, read_training_images, write_training_images
from mri_model.progress import Log, no_log
from mri_model.training.abstention import fit_abstention
from mri_model.training.augment import augment, draw
from mri_model.training.batch import base_batch_size, choose_batch_size, choose_precision
from mri_model.training.checkpoint import CHECKPOINT_FILE, TrainingState, load_checkpoint, save_checkpoint
from mri_model.training.distributed import World, sync_batch_norm
from mri_model.training.optimizer import Loss, build_optimizer, learning_rate, scale_to_batch
from mri_model.training.recipe import Recipe, Value, model_id

OnEpoch = Callable[[EpochMetrics], None]
OnStep = Callable[[int, int, int], None]
"""Called as ``on_step(epoch, images done, images in an epoch)``."""


def ignore_epoch(metrics: EpochMetrics) -> None:
    """No-op epoch callback."""


def ignore_step(epoch: int, done: int, total: int) -> None:
    """No-op step callback."""


@dataclass(frozen=True)
class TrainingJob:
    """One training: what is trained, on what, where it is written and who is told.

    Attributes:
        recorded: The recipe's fields as they are recorded. They hold the weights file's digest, which is computed once:
            the file may disappear while the training runs.
        models: Folder of the model folders.
        checkpoint_seconds: A killed training loses at most this much work.
        world: The processes that train together; each calls ``train``, and the first one writes.
    """

    manifest: Manifest
    recipe: Recipe
    models: Path
    device: torch.device
    checkpoint_seconds: float = 60.0
    world: World = field(default_factory=World)
    on_epoch: OnEpoch = ignore_epoch
    on_step: OnStep = ignore_step
    log: Log = no_log
    recorded: dict[str, Value] = field(init=False)
    slices: SliceChoice = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recorded", self.recipe.recorded())
        object.__setattr__(self, "slices", load_profile(str(self.manifest.folder / "profile.toml")).slices)

    @property
    def model_id(self) -> str:
        return model_id(self.recorded, self.manifest.digest)

    @property
    def folder(self) -> Path:
        return self.models / self.model_id

    @property
    def is_complete(self) -> bool:
        """Whether the model folder is already there."""
        return (self.folder / "model.json").is_file()

    def say(self, line: str) -> None:
        """Log a line, once for all processes."""
        if self.world.is_first:
            self.log(line)

    @property
    def partition(self) -> Partition:
        return self.manifest.partition(self.recipe.protocol, self.recipe.folds, self.recipe.fold)


@dataclass(frozen=True)
class Validation:
    """A pass over the validation split.

    Attributes:
        loss: Mean cross-entropy, without calibration.
        averages: Accuracy, precision, recall and F1.
        temperature: The temperature that calibrates the probabilities on these images.
    """

    loss: float
    averages: Averages
    temperature: float


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


def train(job: TrainingJob, pixels: PixelStore) -> Path:
    """Train by the recipe, keep the epoch with the best validation macro-F1, return the model folder.

    A complete model folder is returned as it is. If there is a checkpoint, training resumes at its step and ends with
    the same weights as without the interruption (bit for bit on a CPU). If a batch size left to the device does not fit
    into memory, it is halved and training starts again.

    Raises:
        MriError: If another process trains this model, a split has no images, the loss diverges, a given batch size
            does not fit, or a checkpoint cannot be written.
    """
    world, folder = job.world, job.folder
    if world.broadcast(job.is_complete):
        return folder
    if not world.is_first:
        world.barrier()  # until the first process holds the lock
        fit(job, pixels)
        world.barrier()
        return folder
    busy = MriError(f"another process is training {job.model_id}", "wait for it, or change --seed or the recipe")
    with exclusive_lock(folder, busy):
        world.barrier()
        if world.size > 1 or not job.is_complete:
            fit(job, pixels)
        world.barrier()
    return folder


def fit(job: TrainingJob, pixels: PixelStore) -> None:
    """Run the training to its end with the first batch size that fits, and write the model folder."""
    splits = {name: load_split(job.partition, name) for name in ("train", "val")}
    if job.world.is_first:
        write_training_images(job.folder, job.model_id, TrainingImages.of(job.partition))
    batch_size = choose_batch_size(job.recipe, job.device, len(splits["train"]))
    while True:
        try:
            state = Trainer(job, pixels, splits, batch_size).run()
            break
        except torch.OutOfMemoryError:
            (job.folder / CHECKPOINT_FILE).unlink(missing_ok=True)
            if job.recipe.batch_size or batch_size <= 2 or job.world.size > 1:
                hint = "use a smaller --batch-size, or 0 in a single process to have it chosen"
                raise MriError(f"a batch of {batch_size} does not fit into the device's memory", hint) from None
            batch_size //= 2
    if job.world.is_first:
        write_model(job, state, pixels, splits)
        (job.folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def write_model(job: TrainingJob, state: TrainingState, pixels: PixelStore, splits: dict[str, SplitData]) -> None:
    """Write history, weights, guard and, last, the metadata: a folder with a ``model.json`` is complete."""
    manifest, recipe = job.manifest, job.recipe
    write_history(job.folder, state.history)
    digest = write_weights(job.folder, state.best)
    job.say("fitting the guard, which refuses images unlike the training images")
    train, val = kept_outputs(job, state, pixels, splits)
    images = read_training_images(job.folder, job.model_id)
    metadata = ModelMetadata(
        id=job.model_id,
        network="resnet18",
        classes=manifest.classes,
        preprocessing=recipe.preprocessing,
        temperature=state.temperature,
        tta_hflip=recipe.tta_hflip,
        protocol=recipe.protocol,
        recipe=job.recorded | {"batch_size": state.batch_size, "precision": state.precision},
        manifest=manifest.digest,
        profile=manifest.profile,
        data_digest=manifest.data_digest,
        metrics=state.best_epoch,
        epochs=len(state.history),
        seconds=round(sum(row.seconds for row in state.history), 3),
        device=str(job.device),
        created_at=datetime.now(UTC).isoformat(),
        sha256=digest,
        versions=versions(),
        git_commit=git_commit(),
        intended_use=INTENDED_USE,
        guard=fit_abstention(job.folder, train, val, state.temperature, images),
        slices=job.slices,
    )
    write_metadata(job.folder, metadata)


def kept_outputs(
    job: TrainingJob, state: TrainingState, pixels: PixelStore, splits: dict[str, SplitData]
) -> list[tuple[Outputs, np.ndarray]]:
    """What the kept weights say in fp32, as in scoring, about the train and val images, with the true classes."""
    network = Resnet18(len(job.manifest.classes))
    network.load_state_dict(state.best)
    network = network.eval().to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    preprocessing, tta_hflip = job.recipe.preprocessing, job.recipe.tta_hflip
    return [
        (predict(network, preprocessing, pixels, split.positions, job.device, tta_hflip), split.targets)
        for split in (splits["train"], splits["val"])
    ]


class Trainer:
    """The training loop of one job: network, optimizer and state."""

    def __init__(self, job: TrainingJob, pixels: PixelStore, splits: dict[str, SplitData], batch_size: int) -> None:
        recipe, world = job.recipe, job.world
        self.job, self.pixels, self.splits = job, pixels, splits
        self.near: PixelStore | ResidentPixels = nearest_pixels(pixels, job.device)
        network = build_network(len(job.manifest.classes), recipe.weights, recipe.seed)
        if world.size > 1:
            sync_batch_norm(network, job.device)
        self.network = network.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parallel = world.parallelize(self.network, job.device)
        self.loss = Loss(job.manifest.labels, recipe)
        self.optimizer: Optimizer = build_optimizer(self.network, recipe)
        fresh = TrainingState(batch_size, choose_precision(recipe, job.device), torch.get_num_threads())
        self.state = load_checkpoint(job.folder, self.network, self.optimizer) or fresh
        self.keep_threads()
        self.sums = self.device_sums()
        self.rate_factor = scale_to_batch(recipe, self.state.batch_size, base_batch_size(recipe))

    def keep_threads(self) -> None:
        """Compute with as many threads as before an interruption: another number changes the last bits of sums."""
        threads = self.state.threads
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
            self.job.say(f"threads: {threads}, as before the interruption")

    def run(self) -> TrainingState:
        """Train all epochs that are left."""
        while self.state.epoch <= self.job.recipe.epochs:
            before = self.state.seconds
            started = time.monotonic()
            self.train_epoch(started - before)
            self.read_sums()
            validation = self.validate()
            metrics = self.epoch_metrics(validation, before + time.monotonic() - started)
            self.state.finish_epoch(metrics)
            self.sums = self.device_sums()
            if self.state.best_epoch is metrics:
                weights = self.network.state_dict().items()
                self.state.best = {name: value.detach().cpu().clone() for name, value in weights}
                self.state.temperature = validation.temperature
            if self.job.world.is_first:
                self.save()
                write_history(self.job.folder, self.state.history)
                self.job.on_epoch(metrics)
        return self.state

    def save(self) -> None:
        """Write a checkpoint. Raises MriError, and writes none, if the loss is not finite."""
        self.read_sums()
        save_checkpoint(self.job.folder, self.network, self.optimizer, self.state)

    def device_sums(self) -> torch.Tensor:
        """Sum of the losses and number of correct images of the current epoch: float64 (2,), on the device."""
        return torch.tensor([self.state.loss, self.state.correct], dtype=torch.float64, device=self.job.device)

    def read_sums(self) -> None:
        """Read loss and correct images from the device. Waits for it, so only checkpoints and ends of epochs do this.

        Raises MriError if the loss is not finite.
        """
        loss, correct = self.sums.tolist()
        if not math.isfinite(loss):
            raise MriError(
                f"the loss is no longer finite, seen at epoch {self.state.epoch}, step {self.state.steps}",
                "try a smaller --learning-rate",
            )
        self.state.loss, self.state.correct = loss, int(correct)

    def epoch_metrics(self, validation: Validation, seconds: float) -> EpochMetrics:
        state, averages = self.state, validation.averages
        return EpochMetrics(
            epoch=state.epoch,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            train_loss=state.loss / state.images,
            train_accuracy=state.correct / state.images,
            val_loss=validation.loss,
            val_accuracy=averages.accuracy,
            val_precision=averages.macro_precision,
            val_recall=averages.macro_recall,
            val_f1=averages.macro_f1,
            seconds=round(seconds, 3),
        )

    def validate(self) -> Validation:
        """The validation split's figures, computed by the first process."""
        job = self.job
        own = None
        if job.world.is_first:
            own = validate(self.network, self.pixels, self.splits["val"], job, self.state.precision)
        return job.world.broadcast(own)  # type: ignore[return-value]  # the first process has one

    def train_epoch(self, started: float) -> None:
        """Train the rest of the current epoch, in an order drawn from (seed, epoch).

        ``started`` is the monotonic time at which the epoch would have begun without interruptions, in seconds.
        """
        state, split, recipe = self.state, self.splits["train"], self.job.recipe
        self.network.train()
        order = np.random.default_rng([recipe.seed, state.epoch])
        batches = shuffled_batches(len(split), state.batch_size, order, at_least=max(2, self.job.world.size))
        saved = time.monotonic()
        for step in range(state.steps, len(batches)):
            rate = learning_rate(recipe, (state.epoch - 1) * len(batches) + step, recipe.epochs * len(batches))
            self.train_step(batches[step], rate * self.rate_factor)
            state.steps = step + 1
            self.job.on_step(state.epoch, state.images, len(split))
            if self.is_checkpoint_due(saved) and state.steps < len(batches):
                state.seconds = time.monotonic() - started
                self.save()
                saved = time.monotonic()

    def is_checkpoint_due(self, saved: float) -> bool:
        return self.job.world.is_first and time.monotonic() - saved >= self.job.checkpoint_seconds

    def train_step(self, chosen: np.ndarray, rate: float) -> None:
        """One step on the training images ``chosen`` (indices into the split); this process computes its shard."""
        state, split, job = self.state, self.splits["train"], self.job
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        own = job.world.shard(chosen)
        images = self.near.batch(split.positions[own]).to(job.device)
        images = augment(images, job.world.shard(draw(len(chosen), self.step_generator())), job.recipe)
        targets = torch.from_numpy(split.targets[own]).to(job.device)
        with torch.autocast(job.device.type, torch.bfloat16, enabled=state.precision == "bf16"):
            logits = self.parallel(job.recipe.preprocessing.normalize(images))
        loss = self.loss(logits, targets).sum() / len(chosen)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * job.world.size).backward()  # averaged over the processes, this is the whole batch's gradient
        self.optimizer.step()
        correct = (logits.argmax(1) == targets).sum()
        self.sums += job.world.all_reduce(torch.stack([loss.detach().double() * len(chosen), correct.double()]))
        state.images += len(chosen)

    def step_generator(self) -> torch.Generator:
        """A generator seeded by (seed, epoch, step), so that a resumed training draws the same numbers."""
        seeds = np.random.SeedSequence([self.job.recipe.seed, self.state.epoch, self.state.steps])
        return torch.Generator().manual_seed(int(seeds.generate_state(1, np.uint64)[0] >> 1))


def shuffled_batches(n: int, size: int, order: np.random.Generator, at_least: int = 2) -> list[np.ndarray]:
    """A shuffled range of ``n`` cut into batches of ``size``.

    A last batch of fewer than ``at_least`` images (too few for batch norm, or for one image a process) joins the one
    before it.
    """
    cuts = list(range(size, n, size))
    if cuts and n - cuts[-1] < at_least:
        cuts.pop()
    return np.split(order.permutation(n), cuts)


def validate(network: Resnet18, pixels: PixelStore, split: SplitData, job: TrainingJob, precision: str) -> Validation:
    """Figures of one split, in the precision of the training."""
    network.eval()
    preprocessing, tta_hflip = job.recipe.preprocessing, job.recipe.tta_hflip
    logits = predict(network, preprocessing, pixels, split.positions, job.device, tta_hflip, precision=precision).logits
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(split.targets))
    averages = summarize(split.targets, logits.argmax(1).numpy())
    return Validation(float(loss), averages, fit_temperature(logits.numpy(), split.targets))
