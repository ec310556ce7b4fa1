"""Options that users set: their allowed words, types, bounds and help texts, each written once.

Command-line options and Prefect parameters derive from these definitions (``cli/options.py``, ``tasks/parameters.py``).
"""

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mri_model.errors import UsageError

RecipeName = Literal["modern", "report", "quick"]
Protocol = Literal["random", "grouped", "given"]
Split = Literal["train", "val", "test", "all"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]
Resize = Literal["linear", "area"]
OnInvalid = Literal["fail", "quarantine"]
SampleFormat = Literal["images", "dicom", "nifti"]

MODEL_PARAMETERS = ("model", "other")
"""Parameters of questions that name a model."""

CHAMPION = "champion"
DEFAULT_MODEL = CHAMPION
"""Which model evaluation and scoring use."""

MAX_SEED = 2**32 - 1
"""Largest seed that every random generator in use accepts (scikit-learn's has 32 bits)."""

MIN_SIZE, MAX_SIZE = 32, 2048
"""Bounds of the image size, in pixels."""

MAX_STORE_SCALE = 2.0
"""Largest size of stored images as a multiple of the network's; beyond, bilinear resampling skips pixels."""

MAX_SEEDS = 1000
"""Most trainings in a sweep of seeds."""

MAX_WORKERS = 64
"""Most flow runs that share a scoring run."""

MIN_FOLDS, MAX_FOLDS = 3, 100
"""Bounds of the number of folds of a cross-validation."""

MAX_CLASS_LEVEL = 20
"""Deepest folder that can be named as the class, counted from the top, or as a negative number from the bottom."""

MIN_RISK, MAX_RISK = 0.001, 0.999
"""Bounds of a stated risk."""

RECIPE_HELP: dict[RecipeName, str] = {
    "modern": "for images from new sources, with random crops, rotations and intensities",
    "report": "exactly the report's",
    "quick": "a check of the random protocol within minutes; learns to recognize known sources, not for new ones",
}
"""What each recipe is good for."""

HELP = {
    "data": "Folder that holds one folder for each class.",
    "profile": "What the data must look like: auto, a shipped profile, or a TOML file (see mri profile).",
    "class_level": "Which folder is the class: 1 is directly below DATA, -1 holds the images. The folders below it are "
    "patients. 0: by their names.",
    "labels": "A table of classes (CSV): patient, series or path; tumor; contrast. Default: labels.csv in the data.",
    "hash_paths": "Write keyed hashes in place of file paths, which may hold names; MRI_HOME/private has both.",
    "class_map": "Call a class by another name, for example glioma_tumor=glioma.",
    "on_invalid": "If a rule is broken: fail, or reject the files that break it and continue.",
    "seed": "Decides the random choices.",
    "manifest": "latest, a digest, or a manifest folder.",
    "recipe": "Start from: " + "; ".join(f"{name} ({text})" for name, text in RECIPE_HELP.items()) + ".",
    "seeds": "Train and test with this many seeds, from the seed on.",
    "folds": f"Cross-validation, always over groups: train and test this many times ({MIN_FOLDS} or more). 0 for none.",
    "model": "champion (the model in use, see mri models), best (by validation, on the newest manifest), latest, a "
    "model id, or a model folder.",
    "reported": "champion, best, latest, a model id, a model folder, or the sweep id of a cross-validation.",
    "promoted": "best (by validation, on the newest manifest), latest, a model id, or a model folder.",
    "why": "The reason, for the history.",
    "force": "Promote the model although the gate objects; the history keeps the objections.",
    "compare": "Another model; the page puts the two side by side.",
    "with_images": "Write a page with pictures of the data: samples, and the surest mistakes with Grad-CAM overlays.",
    "split": "Which images to evaluate on; all is for a manifest of other images than the training's.",
    "evaluated_manifest": "Default: that of the training. Images of another that the model has seen are left out.",
    "arrived": "Folder of labelled images that arrived since the training, one folder for each class; may be empty.",
    "folder": "Folder of images, of any structure.",
    "precision": "auto takes bf16 on a GPU that computes in it, else fp32. bf16 is faster; few labels differ.",
    "listing": "Digest of the folder's listing: a folder that has changed is not scored. Empty: score it as it is.",
    "join": "Help with this scoring run, whatever has happened to the folder. Empty: the run of the folder as it is.",
    "workers": "Score with so many flow runs: this one, and others that share its work. They run if a worker is free.",
    "csv": "Write the rows to this CSV file too.",
    "series": "Print the result of each DICOM or NIfTI series, too.",
    "risk": "Share of wrong answers that is acceptable, such as 0.05: answers too uncertain for it are not given. By "
    "default, only images unlike the training images get no answer.",
    "sizes": "Image sizes to compare, in pixels.",
    "device": "Where to compute; auto takes a GPU if there is one.",
}
"""Help texts of the stages' own options. Those of a recipe's fields are in ``Recipe``."""

Value = str | int | float | bool


@dataclass(frozen=True)
class Option:
    """Type, bounds and help text of one recipe field. Command-line options and Prefect parameters derive from it.

    Attributes:
        type: ``int``, ``float``, ``bool``, ``str`` or a ``Literal`` of the allowed words.
        ge, gt, le, lt: Bounds of a number, None for no bound.
    """

    name: str
    type: Any
    default: Value
    help: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, empty if the field is not one of a list."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def bounds(self) -> dict[str, float]:
        """Those of ``ge``, ``gt``, ``le`` and ``lt`` that are set."""
        named = {"ge": self.ge, "gt": self.gt, "le": self.le, "lt": self.lt}
        return {name: bound for name, bound in named.items() if bound is not None}

    @property
    def allowed(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return " or ".join(self.choices)
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return "a text"
        kind = "a whole number" if self.type is int else "a number"
        low = f"from {self.ge}" if self.ge is not None else f"above {self.gt}" if self.gt is not None else ""
        high = f"to {self.le}" if self.le is not None else f"below {self.lt}" if self.lt is not None else ""
        return " ".join(filter(None, [kind, low, high]))

    def accepts(self, value: object) -> bool:
        if self.choices:
            return value in self.choices
        if self.type in (bool, str):
            return isinstance(value, self.type)
        numbers = int if self.type is int else (int, float)
        if not isinstance(value, numbers) or isinstance(value, bool) or not math.isfinite(value):
            return False
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def check(self, value: object) -> None:
        """Raises UsageError for a value that the field cannot have."""
        if not self.accepts(value):
            raise UsageError(f"{self.name} cannot be {value!r}", f"use {self.allowed}")

    def parse(self, text: str) -> Value:
        """The value that a text stands for. Raises UsageError if it is none or out of bounds."""
        try:
            value = PARSERS.get(self.type, str)(text)
        except (ValueError, KeyError, OverflowError):
            raise UsageError(f"{self.name} cannot be {text!r}", f"use {self.allowed}") from None
        self.check(value)
        return value


PARSERS: dict[Any, Any] = {
    int: int,
    float: float,
    bool: lambda text: {"true": True, "false": False}[text.lower()],
}


def option(default: Value, help: str, **bounds: float) -> Any:
    """A recipe field that users can set."""
    return field(default=default, metadata={"help": help, **bounds})


def options_of(cls: type) -> dict[str, Option]:
    """The fields of a dataclass that were defined by ``option``, by name."""
    types = get_type_hints(cls)
    return {each.name: as_option(each, types[each.name]) for each in fields(cls) if "help" in each.metadata}


def as_option(each: "Field[Any]", kind: Any) -> Option:
    return Option(each.name, kind, each.default, **each.metadata)  # type: ignore[arg-type]
