"""How a network is trained, as data."""

import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mri_model.data.preprocessing import Preprocessing
from mri_model.data.splits import PROTOCOLS
from mri_model.errors import MriError, UsageError
from mri_model.files import digest_of

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "one-cycle")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training's outcome, apart from the manifest.

    The defaults are the report's: mini-batch SGD with learning rate 0.01 and nothing else, cross-entropy, plain resize.
    ``MODERN`` is the other recipe. ``weights``: ``imagenet``, ``none`` or a state dict's path. ``batch_size`` 0 takes
    the recipe's own (``report``: by image size; ``modern``: see ``batch.py``). ``weight_decay`` leaves normalisation
    layers and biases alone. ``aux_loss_weight`` weighs the loss of tumor alone and contrast alone beside the class's.
    ``flip`` mirrors half of the training images, ``tta_hflip`` predicts from an image and its mirror image.
    ``deterministic`` forbids a GPU what it cannot repeat to the bit (a CPU always can). ``fold``/``folds``: train on
    fold number ``fold`` (from 1) of grouped cross-validation; 0 for the protocol's split.
    """

    name: str = "report"
    image_size: int = 100
    batch_size: int = 0
    epochs: int = 10
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    label_smoothing: float = 0.0
    aux_loss_weight: float = 0.0
    flip: bool = False
    tta_hflip: bool = False
    precision: str = "fp32"
    deterministic: bool = False
    resize: str = "linear"
    weights: str = "imagenet"
    protocol: str = "random"
    seed: int = 0
    folds: int = 0
    fold: int = 0

    def __post_init__(self) -> None:
        if self.batch_size == 0 and self.name == "report":
            object.__setattr__(self, "batch_size", report_batch_size(self.image_size))
        _ = self.preprocessing
        one_of("recipe", self.name, tuple(RECIPES))
        one_of("protocol", self.protocol, PROTOCOLS)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("precision", self.precision, PRECISIONS)
        require(self.batch_size == 0 or self.batch_size >= 2, f"batch size {self.batch_size} is too small", "use 2 up")
        require(self.epochs >= 1, f"{self.epochs} epochs are too few", "use 1 or more; the report used at least 5")
        require(
            self.learning_rate > 0,
            f"learning rate {self.learning_rate} is not positive",
            "the report used 0.01",
        )
        require(0 <= self.momentum < 1, f"momentum {self.momentum} is out of range", "use 0 up to 1, without 1")
        require(self.weight_decay >= 0, f"weight decay {self.weight_decay} is negative", "use 0 or more")
        require(0 <= self.label_smoothing < 1, f"label smoothing {self.label_smoothing} is out of range", "use 0 to 1")
        require(
            self.aux_loss_weight >= 0, f"aux_loss_weight weight {self.aux_loss_weight} is negative", "use 0 or more"
        )
        require(self.seed >= 0, f"seed {self.seed} is negative", "use 0 or more")
        require(self.folds == 0 or self.folds >= 3, f"{self.folds} folds are too few", "use 3 or more, or 0 for none")
        require(
            (self.fold == 0) if self.folds == 0 else 1 <= self.fold <= self.folds,
            f"there is no fold {self.fold} of {self.folds}",
            "folds count from 1",
        )
        require(self.folds == 0 or self.protocol == "grouped", "folds keep groups apart", "use --protocol grouped")

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(self.image_size, self.resize)  # type: ignore[arg-type]  # checked where it is built

    def model_id(self, manifest_digest: str) -> str:
        """The same recipe on the same manifest has the same name, wherever the weights file lies."""
        facts = self.as_dict() | {"manifest": manifest_digest}
        fold = f"-fold{self.fold}of{self.folds}" if self.folds else ""
        return f"resnet18-{self.image_size}px-{self.protocol}{fold}-{digest_of(facts)[:10]}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"weights": weights_identity(self.weights)}


MODERN: dict[str, Any] = {
    "name": "modern",
    "image_size": 160,
    "epochs": 10,
    "optimizer": "adamw",
    "learning_rate": 5e-4,
    "momentum": 0.9,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
    "flip": True,
    "tta_hflip": True,
    "precision": "auto",
    "resize": "area",
}
"""What the ablation in ``docs/results.md`` rests on. ``momentum`` is AdamW's first beta."""

RECIPES: dict[str, dict[str, Any]] = {"report": {}, "modern": MODERN}


def make_recipe(name: str = "modern", **changes: Any) -> Recipe:
    """A named recipe with some of its fields changed; None leaves a field as the recipe has it."""
    one_of("recipe", name, tuple(RECIPES))
    known = {field.name for field in fields(Recipe)}
    unknown = sorted(changes.keys() - known)
    require(not unknown, f"a recipe has no {', '.join(unknown)}", f"it has {', '.join(sorted(known))}")
    return Recipe(**(RECIPES[name] | {key: value for key, value in changes.items() if value is not None}))


def report_batch_size(image_size: int) -> int:
    """The report's Table 3: 50 at 100 pixels, 25 at 256, 15 at 630."""
    if image_size <= 100:
        return 50
    return 25 if image_size <= 256 else 15


def weights_identity(weights: str) -> str:
    """``imagenet``, ``none``, or a file's name with the start of its SHA-256. Raises MriError where it is missing."""
    if weights in ("imagenet", "none"):
        return weights
    file = Path(weights)
    if not file.is_file():
        hint = "use imagenet, none, or the path of a torchvision ResNet-18 state dict"
        raise MriError(f"there is no weights file {file}", hint)
    with file.open("rb") as content:
        return f"{file.name}#{hashlib.file_digest(content, 'sha256').hexdigest()[:12]}"


def one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    require(value in allowed, f"there is no {what} {value!r}", f"use {' or '.join(allowed)}")


def require(condition: bool, message: str, hint: str) -> None:
    if not condition:
        raise UsageError(message, hint)
