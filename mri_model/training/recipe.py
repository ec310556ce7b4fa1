"""How a network is trained, as data."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mri_model.data.split import PROTOCOLS
from mri_model.errors import MriError, UsageError
from mri_model.files import digest_of
from mri_model.preprocessing import Preprocessing


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training's outcome, apart from the manifest.

    The defaults are the report's: mini-batch SGD with learning rate 0.01 and nothing else, cross-entropy, plain resize.
    ``batch_size`` 0 takes the report's for the image size. ``weights``: ``imagenet``, ``none`` or a state dict's path.
    """

    image_size: int = 100
    batch_size: int = 0
    epochs: int = 10
    learning_rate: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    resize: str = "linear"
    weights: str = "imagenet"
    protocol: str = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size == 0:
            object.__setattr__(self, "batch_size", report_batch_size(self.image_size))
        _ = self.preprocessing
        require(
            self.protocol in PROTOCOLS,
            f"there is no protocol {self.protocol!r}",
            f"use {' or '.join(PROTOCOLS)}",
        )
        require(self.batch_size >= 2, f"batch size {self.batch_size} is too small", "use 2 or more")
        require(self.epochs >= 1, f"{self.epochs} epochs are too few", "use 1 or more; the report used at least 5")
        require(
            self.learning_rate > 0,
            f"learning rate {self.learning_rate} is not positive",
            "the report used 0.01",
        )
        require(0 <= self.momentum < 1, f"momentum {self.momentum} is out of range", "use 0 up to 1, without 1")
        require(self.weight_decay >= 0, f"weight decay {self.weight_decay} is negative", "use 0 or more")
        require(self.seed >= 0, f"seed {self.seed} is negative", "use 0 or more")

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(self.image_size, self.resize)  # type: ignore[arg-type]  # checked where it is built

    def model_id(self, manifest_digest: str) -> str:
        """The same recipe on the same manifest has the same name, wherever the weights file lies."""
        facts = asdict(self) | {"weights": weights_identity(self.weights), "manifest": manifest_digest}
        return f"resnet18-{self.image_size}px-{self.protocol}-{digest_of(facts)[:10]}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"weights": weights_identity(self.weights)}


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


def require(condition: bool, message: str, hint: str) -> None:
    if not condition:
        raise UsageError(message, hint)
