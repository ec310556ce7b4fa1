"""What a model folder says about itself, read without PyTorch."""

import csv
import json
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

from mri_model.data.manifest import Manifest, Partition
from mri_model.data.medical.choice import AXIAL_SLICES, Axis, SliceChoice
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError, UsageError
from mri_model.files import atomic, safe_name, write_json

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
        slices: Which slices of a volume it was trained on, and scores.
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
    slices: SliceChoice = AXIAL_SLICES

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
    if not file.is_file():
        raise MriError(f"there is no trained model in {folder}", "run: mri train")
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        json.dumps(stored, ensure_ascii=False, allow_nan=False).encode()  # no NaN, no half characters
        if not isinstance(stored, dict) or stored.pop("format", None) != FORMAT:
            raise MriError(f"{folder} is not a model folder of format {FORMAT}", train_again(folder))
        return parse_metadata(stored)
    except (ValueError, RecursionError, UsageError) as error:
        raise MriError(f"{file} is damaged: {error}", train_again(folder)) from None


def train_again(folder: Path) -> str:
    """What to do with a model folder that cannot be used; ``mri delete`` knows those of ``MRI_HOME`` only."""
    if folder.absolute().parent.name != "models":
        return "train the model again"
    return f"run: mri delete {folder.name}, then train again"


def parse_metadata(stored: Mapping[str, Any]) -> ModelMetadata:
    """Raises ValueError or UsageError for a field that is unknown, missing or not what it must be."""
    checks: Checks = {
        **dict.fromkeys(("network", "protocol", "profile", "data_digest", "device", "sha256", "intended_use"), text),
        **dict.fromkeys(("id", "manifest"), folder_name),
        "classes": class_names,
        "preprocessing": parse_preprocessing,
        "temperature": partial(number, least=sys.float_info.min),
        "tta_hflip": flag,
        "recipe": parse_recipe,
        "metrics": parse_epoch,
        "epochs": count,
        "seconds": number,
        "created_at": moment,
        "versions": lambda value: {name: text(version) for name, version in mapping(value).items()},
        "git_commit": optional(text),
        "guard": optional(parse_guard),
        "slices": parse_slices,
    }
    return ModelMetadata(**checked(checks, {"guard": None, "slices": asdict(AXIAL_SLICES), **stored}))


def parse_preprocessing(stored: Any) -> Preprocessing:
    checks: Checks = {"size": count, "resize": text, "store_scale": number, "crop_to_head": flag}
    return Preprocessing(**checked({**checks, "mean": three_numbers, "std": three_numbers}, stored))


def parse_recipe(stored: Any) -> RecipeFields:
    """A recipe of which the results database can store the fields that have columns of their own."""
    columns: Checks = dict.fromkeys(("fold", "folds", "image_size", "batch_size"), count)
    columns = {**columns, **dict.fromkeys(("protocol", "weights"), text)}
    recipe = dict(mapping(stored))
    return recipe | checked(columns, {name: value for name, value in recipe.items() if name in columns})


def parse_guard(stored: Any) -> GuardMetadata:
    shares = dict.fromkeys(("outlier_share", "set_level", "set_probability"), share)
    return GuardMetadata(**checked({"sha256": text, "distance": number, "n_validation": count, **shares}, stored))


def parse_slices(stored: Any) -> SliceChoice:
    checks: Checks = {"axis": axis, "central": partial(number, least=sys.float_info.min, most=1), "most": positive}
    return SliceChoice(**checked(checks, stored))


def parse_epoch(stored: Any) -> EpochMetrics:
    """Numbers from texts or numbers. A missing loss is NaN: JSON has no other way to say that it diverged."""
    names = [field.name for field in fields(EpochMetrics)]
    checks: Checks = dict.fromkeys(names, share)
    checks = {**checks, "epoch": count, "learning_rate": number, "seconds": number}
    return EpochMetrics(**checked({**checks, "train_loss": loss, "val_loss": loss}, stored))


Checks = Mapping[str, Callable[[Any], Any]]
"""Name of each field → what reads its value, or raises ValueError, TypeError or OverflowError."""


def checked(checks: Checks, stored: Any) -> dict[str, Any]:
    """The fields, read. Raises ValueError, naming the field, if one is unknown, missing or not what it must be."""
    fields = {}
    if unknown := mapping(stored).keys() - checks.keys():
        raise ValueError(f"{unknown.pop()!r} is unknown")
    for name, read in checks.items():
        if name not in stored:
            raise ValueError(f"{name} is missing")
        try:
            fields[name] = read(stored[name])
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{name}: {error}") from None
    return fields


def number(value: Any, least: float = -sys.float_info.max, most: float = sys.float_info.max) -> float:
    found = float(value)
    if not least <= found <= most:
        raise ValueError(f"{found} is not from {least:g} to {most:g}")
    return found


share = partial(number, least=0, most=1)


def count(value: Any) -> int:
    """A whole number that every database stores."""
    found = number(value, 0, 2**31 - 1)
    if isinstance(value, bool) or not found.is_integer():
        raise ValueError(f"{value} is not a whole number")
    return int(found)


def positive(value: Any) -> int:
    found = count(value)
    if not found:
        raise ValueError("it is not 1 or more")
    return found


def axis(value: Any) -> str:
    if text(value) not in get_args(Axis):
        raise ValueError(f"it is not {' or '.join(get_args(Axis))}")
    return str(value)


def loss(value: Any) -> float:
    return math.nan if value is None or value == "nan" else number(value, -math.inf, math.inf)


def three_numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != 3:
        raise TypeError("it is not a list of three numbers")
    return tuple(map(number, value))


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is neither true nor false")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is not a text")
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("it is not an object with fields")
    return value


def optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def folder_name(value: Any) -> str:
    """A name that becomes part of paths."""
    if safe_name(text(value)) != value:
        raise ValueError("it is not a plain name of a folder")
    return str(value)


def class_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise TypeError("it is not a list of two or more names")
    names = tuple(map(text, value))
    if len(set(names)) < len(names):
        raise ValueError("a class is listed twice")
    return names


def moment(value: Any) -> str:
    """A moment in ISO 8601."""
    if datetime.fromisoformat(text(value)).tzinfo is None:
        raise ValueError("it has no time zone")
    return str(value)


def write_history(folder: Path, history: list[EpochMetrics]) -> None:
    """Write ``history.csv``: one row per epoch."""
    with atomic(folder / "history.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochMetrics)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in history)


def read_history(folder: Path) -> list[EpochMetrics]:
    """Raises MriError if ``history.csv`` is missing or damaged."""
    file, history = folder / "history.csv", []
    with suppress(OSError, ValueError, csv.Error):
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        history = [parse_epoch(row) for row in csv.DictReader(lines)]
    if not history:
        raise MriError(f"{file} is missing or damaged", train_again(folder))
    return history


def best_epoch(history: list[EpochMetrics]) -> EpochMetrics:
    """The epoch with the best validation macro-F1, the earliest of ties."""
    return max(history, key=lambda row: (row.val_f1, -row.epoch))
