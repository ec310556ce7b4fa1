"""How a network is trained, as data. The fields of ``Recipe`` are the one list of training options."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mri_model.errors import MriError, UsageError
from mri_model.files import digest_of
from mri_model.options import (
    MAX_FOLDS,
    MAX_SEED,
    MAX_SIZE,
    MAX_STORE_SCALE,
    MIN_FOLDS,
    MIN_SIZE,
    Option,
    Protocol,
    RecipeName,
    Resize,
    Value,
    option,
    options_of,
)

if TYPE_CHECKING:  # mri --help shows the options without loading OpenCV
    from mri_model.data.preprocessing import Preprocessing


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training's outcome, apart from the manifest.

    The defaults are the report's: mini-batch SGD with learning rate 0.01 and nothing else, cross-entropy, plain resize.

    Attributes:
        name: The named recipe this one derives from.
        folds, fold: Train on fold ``fold`` (from 1) of a grouped cross-validation of ``folds``; 0 for the protocol's
            own split.

    The other fields are described where they are defined. Raises UsageError for a value out of bounds.
    """

    name: RecipeName = "report"
    image_size: int = option(100, "Images are resized to this many pixels square.", ge=MIN_SIZE, le=MAX_SIZE)
    batch_size: int = option(
        0,
        "Images in a step; 0 takes the report's 50, 25, 15 at 100, 256, 630 pixels, or (other recipes) one that fits.",
        ge=0,
        le=65536,
    )
    epochs: int = option(10, "Passes over the training images.", ge=1, le=100_000)
    learning_rate: float = option(0.01, "Peak learning rate.", gt=0, le=1e6)
    weights: str = option("imagenet", "Start from imagenet, none, or the file of a torchvision ResNet-18 state dict.")
    protocol: Protocol = option(
        "random",
        "random (the report's split), grouped (each group in one split) or given (the folders the data came in).",
    )
    seed: int = option(0, "Decides the initial weights of the last layer and the order of images.", ge=0, le=MAX_SEED)
    optimizer: Literal["sgd", "adamw"] = option("sgd", "Optimization algorithm.")
    momentum: float = option(0.0, "Momentum of SGD; first beta of AdamW.", ge=0, lt=1)
    weight_decay: float = option(0.0, "Weight decay; normalization layers and biases have none.", ge=0, le=10)
    schedule: Literal["constant", "one-cycle"] = option("constant", "Learning rate over the steps.")
    label_smoothing: float = option(0.0, "Share of the target spread over all classes.", ge=0, lt=1)
    aux_loss_weight: float = option(0.0, "Weight of the losses of tumor alone and contrast alone.", ge=0, le=100)
    hflip: bool = option(False, "Mirror half of the training images left to right.")
    crop_area: float = option(1.0, "Random crops keep at least this share of the area; 1 for none.", gt=0, le=1)
    crop_aspect: float = option(0.0, "Random crops change the aspect ratio by up to this share.", ge=0, le=1)
    rotation: float = option(0.0, "Rotate training images by up to this many degrees.", ge=0, le=180)
    intensity_gain: float = option(0.0, "Multiply grey values by 1 plus or minus up to this.", ge=0, lt=1)
    intensity_offset: float = option(0.0, "Add up to plus or minus this many grey levels.", ge=0, le=255)
    tta_hflip: bool = option(False, "Predict from an image and its mirror image.")
    precision: Literal["auto", "fp32", "bf16"] = option("fp32", "auto takes bf16 if the device computes in it.")
    deterministic: bool = option(False, "Results on a GPU repeat bit for bit, but more slowly. CPU results always do.")
    resize: Resize = option("linear", "linear, or area (no aliasing when shrinking).")
    store_scale: float = option(
        1.0, "Images are stored at this many times the image size; 1.5 suits crops.", ge=1, le=MAX_STORE_SCALE
    )
    crop_to_head: bool = option(False, "Leave out dark margins, in training, evaluation and scoring.")
    folds: int = 0
    fold: int = 0

    def __post_init__(self) -> None:
        if self.batch_size == 0 and self.name == "report":
            object.__setattr__(self, "batch_size", report_batch_size(self.image_size))
        for each in OPTIONS.values():
            each.check(getattr(self, each.name))
        one_of("recipe", self.name, tuple(RECIPES))
        require(self.batch_size != 1, "a batch of 1 image has no batch statistics", "use a batch size of 2 or more")
        check_folds(self.folds)
        require(
            (self.fold == 0) if self.folds == 0 else 1 <= self.fold <= self.folds,
            f"there is no fold {self.fold} of {self.folds}",
            "folds count from 1",
        )
        require(self.folds == 0 or self.protocol == "grouped", "folds keep groups apart", "use the protocol grouped")

    @property
    def preprocessing(self) -> "Preprocessing":
        from mri_model.data.preprocessing import Preprocessing

        return Preprocessing(self.image_size, self.resize, self.store_scale, self.crop_to_head)

    def recorded(self) -> dict[str, Value]:
        """The fields as they are recorded: weights by file name and SHA-256, wherever the file is.

        Raises MriError if the weights file is missing.
        """
        return asdict(self) | {"weights": weights_identity(self.weights)}


OPTIONS: dict[str, Option] = options_of(Recipe)
"""Every recipe field that users can set, by name."""

QUICK: dict[str, Any] = {
    "name": "quick",
    "image_size": 96,
    "epochs": 4,
    "optimizer": "adamw",
    "learning_rate": 5e-4,
    "momentum": 0.9,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
    "precision": "auto",
    "resize": "area",
}

AUGMENTATION: dict[str, Any] = {
    "hflip": True,
    "crop_area": 0.6,
    "crop_aspect": 0.18,
    "rotation": 12.0,
    "intensity_gain": 0.25,
    "intensity_offset": 15.0,
    "store_scale": 1.5,
}

MODERN: dict[str, Any] = {
    **QUICK,
    **AUGMENTATION,
    "name": "modern",
    "image_size": 160,
    "epochs": 12,
    "crop_to_head": True,
    "tta_hflip": True,
}
"""See ``docs/results.md``."""

RECIPES: dict[str, dict[str, Any]] = {"modern": MODERN, "report": {}, "quick": QUICK}


def make_recipe(name: str = "modern", **changes: Any) -> Recipe:
    """A named recipe with some of its fields changed; None leaves a field as the recipe has it.

    Raises UsageError for an unknown recipe or field, and for a value out of bounds.
    """
    one_of("recipe", name, tuple(RECIPES))
    known = {each.name for each in fields(Recipe)}
    unknown = sorted(changes.keys() - known)
    require(not unknown, f"a recipe has no {', '.join(unknown)}", f"its fields: {', '.join(OPTIONS)}")
    return Recipe(**(RECIPES[name] | {key: value for key, value in changes.items() if value is not None}))


def parse_changes(assignments: list[str]) -> dict[str, Value]:
    """Recipe fields from texts like ``momentum=0.9``. Raises UsageError for an unknown field or a bad value."""
    changes = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip().replace("-", "_")
        require(bool(equals), f"{assignment!r} is not a setting", "write name=value, for example momentum=0.9")
        require(name in OPTIONS, f"a recipe has no field {name!r}", f"its fields: {', '.join(OPTIONS)}")
        changes[name] = OPTIONS[name].parse(text.strip())
    return changes


def model_id(recorded: Mapping[str, Value], manifest_digest: str) -> str:
    """The name of the model that a recipe (see ``Recipe.recorded``) gives on a manifest."""
    fold = f"-fold{recorded['fold']}of{recorded['folds']}" if recorded["folds"] else ""
    digest = digest_of({**recorded, "manifest": manifest_digest})[:10]
    return f"resnet18-{recorded['image_size']}px-{recorded['protocol']}{fold}-{digest}"


def report_batch_size(image_size: int) -> int:
    """The report's Table 3: 50 at 100 pixels, 25 at 256, 15 at 630."""
    if image_size <= 100:
        return 50
    return 25 if image_size <= 256 else 15


def weights_identity(weights: str) -> str:
    """``imagenet``, ``none``, or a file's name with the start of its SHA-256. Raises MriError if it is missing."""
    if weights in ("imagenet", "none"):
        return weights
    file = Path(weights)
    if not file.is_file():
        hint = "use imagenet, none, or the path of a torchvision ResNet-18 state dict"
        raise MriError(f"there is no weights file {file}", hint)
    with file.open("rb") as content:
        return f"{file.name}#{hashlib.file_digest(content, 'sha256').hexdigest()[:12]}"


def check_folds(folds: int) -> None:
    """Raises UsageError for a number of folds that cannot be."""
    require(
        folds == 0 or MIN_FOLDS <= folds <= MAX_FOLDS,
        f"cross-validation cannot have {folds} folds",
        f"use {MIN_FOLDS} to {MAX_FOLDS}, or 0 for none",
    )


def one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    require(value in allowed, f"there is no {what} {value!r}", f"use {' or '.join(allowed)}")


def require(condition: bool, message: str, hint: str) -> None:
    if not condition:
        raise UsageError(message, hint)
