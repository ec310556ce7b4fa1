"""What a model folder says about itself, read without PyTorch."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mri_model.data.manifest import Manifest, Partition
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError, UsageError
from mri_model.files import atomic, read_json, write_json

FORMAT = 6
"""Version of the model folder. Folders of other versions are refused."""

RecipeFields = Mapping[str, str | int | float | bool]
"""A recipe as recorded with its model: weights by name and SHA-256, batch size and precision as they were used."""


@dataclass(frozen=True)
class EpochMetrics:
    """One row of ``history.csv``.

    Losses are mean cross-entropies (NaN if they diverged); accuracies, precision, recall and F1 lie in 0–1. The
    training figures are running means over the epoch, while the weights change. Precision, recall and F1 are macro
    averages.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_precision: float
    val_recall: float
    val_f1: float
    seconds: float


@dataclass(frozen=True)
class GuardMetadata:
    """When the model gives no answer, and how it gives several; fitted on the validation split.

    Attributes:
        sha256: Digest of ``guard.safetensors``.
        distance: Images that are farther than this from the training images get no answer.
        outlier_share: Share of images like the validation images that are farther.
        set_level: Share of images like the validation images whose prediction set holds the true label.
        set_probability: Labels that are at least this probable belong to the prediction set.
        n_validation: Number of validation images.
    """

    sha256: str
    distance: float
    outlier_share: float
    set_level: float
    set_probability: float
    n_validation: int


@dataclass(frozen=True)
class ModelMetadata:
    """Contents of ``model.json``.

    Attributes:
        id: Name of the model folder.
        classes: Class names in the order of the network's outputs.
        temperature: Logits are divided by this before the softmax; fitted on the validation split.
        tta_hflip: Whether the model answers with the mean over an image and its mirror image.
        protocol: ``random``, ``grouped`` or ``given``: the partition it was trained under.
        recipe: How it was trained.
        manifest: Digest of the manifest it was trained on.
        profile: Name of that manifest's profile.
        data_digest: Digest of that manifest's files.
        metrics: The epoch whose weights were kept.
        epochs: Number of epochs trained.
        seconds: Training time.
        sha256: Digest of ``model.safetensors``.
        versions: Versions of Python and the libraries it was trained with.
        git_commit: Commit of the code, None outside a checkout.
        guard: None for a model that was trained before there was one, or whose features are not finite.
    """

    id: str
    network: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    tta_hflip: bool
    protocol: str
    recipe: RecipeFields
    manifest: str
    profile: str
    data_digest: str
    metrics: EpochMetrics
    epochs: int
    seconds: float
    device: str
    created_at: str
    sha256: str
    versions: Mapping[str, str]
    git_commit: str | None
    intended_use: str
    guard: GuardMetadata | None = None

    @property
    def fold(self) -> int:
        """Number of the cross-validation fold it was trained for, 0 if it is none."""
        return int(self.recipe["fold"])

    def partition(self, manifest: Manifest) -> Partition:
        """The train, val and test images of a manifest, by the protocol and fold the model was trained under."""
        return manifest.partition(self.protocol, int(self.recipe["folds"]), self.fold)


def write_metadata(folder: Path, metadata: ModelMetadata) -> None:
    write_json(folder / "model.json", {"format": FORMAT, **asdict(metadata)})


def read_metadata(folder: Path) -> ModelMetadata:
    """Raises MriError if the folder holds no complete model of this format."""
    file = folder / "model.json"
    try:
        stored = read_json(file)
    except FileNotFoundError:
        raise MriError(f"there is no trained model in {folder}", "run: mri train") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise MriError(f"{file} is damaged: {error}", train_again(folder)) from None
    if not isinstance(stored, dict) or stored.pop("format", None) != FORMAT:
        raise MriError(f"{folder} is not a model folder of format {FORMAT}", train_again(folder))
    try:
        return parse_metadata(stored)
    except (AttributeError, TypeError, ValueError, KeyError, UsageError) as error:
        raise MriError(f"{file} is damaged: {error}", train_again(folder)) from None


def train_again(folder: Path) -> str:
    """What to do with a model folder that cannot be used."""
    return f"run: mri delete {folder.name}, then train again"


def parse_metadata(stored: dict[str, Any]) -> ModelMetadata:
    """Raises TypeError, ValueError or KeyError for a field that is missing or of another type."""
    preprocessing = {**stored["preprocessing"]}
    preprocessing |= {name: tuple(map(float, preprocessing[name])) for name in ("mean", "std")}
    metadata = ModelMetadata(**stored)
    for name in ("id", "protocol", "manifest", "created_at", "sha256"):
        if not isinstance(stored[name], str):
            raise TypeError(f"{name} is not a text")
    datetime.fromisoformat(metadata.created_at)
    if not all(isinstance(metadata.recipe[name], int) for name in ("fold", "folds")):
        raise TypeError("the fold of the recipe is not a number")
    return replace(
        metadata,
        classes=tuple(map(str, metadata.classes)),
        temperature=float(metadata.temperature),
        preprocessing=Preprocessing(**preprocessing),
        metrics=parse_epoch(stored["metrics"]),
        guard=parse_guard(guard) if (guard := stored.get("guard")) else None,
    )


def parse_guard(stored: Mapping[str, Any]) -> GuardMetadata:
    numbers = {name: float(stored[name]) for name in ("distance", "outlier_share", "set_level", "set_probability")}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a threshold of the guard is not finite")
    return GuardMetadata(**{**stored, **numbers, "n_validation": int(stored["n_validation"])})


def write_history(folder: Path, history: list[EpochMetrics]) -> None:
    """Write ``history.csv``: one row per epoch."""
    with atomic(folder / "history.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochMetrics)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in history)


def read_history(folder: Path) -> list[EpochMetrics]:
    """Raises MriError if ``history.csv`` is missing or damaged."""
    try:
        with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
            history = [parse_epoch(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, KeyError):
        history = []
    if not history:
        raise MriError(f"{folder / 'history.csv'} is missing or damaged", train_again(folder))
    return history


def parse_epoch(row: Mapping[str, Any]) -> EpochMetrics:
    """Numbers from texts or numbers. A missing loss is NaN: JSON has no other way to say that it diverged."""
    losses = {name: math.nan for name in ("train_loss", "val_loss") if row[name] is None}
    numbers = {field.name: float(row[field.name]) for field in fields(EpochMetrics) if field.name not in losses}
    return EpochMetrics(**{**numbers, **losses, "epoch": int(row["epoch"])})  # type: ignore[arg-type]


def best_epoch(history: list[EpochMetrics]) -> EpochMetrics:
    """The epoch with the best validation macro-F1, the earliest of ties."""
    return max(history, key=lambda row: (row.val_f1, -row.epoch))
