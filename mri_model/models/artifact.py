"""The model folder: weights as safetensors, and the metadata needed to use them. Nothing in it is ever unpickled."""

import hashlib
import platform
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from mri_model.data.labels import Label, parse_label
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.files import atomic
from mri_model.models.guard import GUARD_FILE, Guard, check_guard, read_guard
from mri_model.models.inference import forward
from mri_model.models.metadata import ModelMetadata, read_metadata, train_again
from mri_model.models.network import Resnet18
from mri_model.models.reference import Reference

if TYPE_CHECKING:
    from mri_model.models.engine import Engine

WEIGHTS_FILE = "model.safetensors"

INTENDED_USE = "Research on brain MRI image classification. Not a medical device; not for diagnosis."


@dataclass(frozen=True)
class Model:
    """A trained network with its metadata, ready to predict on ``device``.

    Attributes:
        engine: What computes logits and features (see ``models.engine``); None: PyTorch in fp32, as in evaluation.
        guard: None for a model without one, as is ``reference``.
        reference: The validation images as the model sees them.
    """

    folder: Path
    metadata: ModelMetadata
    network: Resnet18
    device: torch.device
    engine: "Engine | None" = None
    guard: Guard | None = None
    reference: Reference | None = None

    @property
    def id(self) -> str:
        return self.metadata.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the network's outputs."""
        return self.metadata.classes

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The classes in order, split into tumor and contrast."""
        return tuple(parse_label(name) for name in self.classes)

    def class_indices(self, labels: pd.Series) -> np.ndarray:
        """Position of each label in the class order: int64 of shape (n,), -1 for unknown labels."""
        return pd.Index(self.classes).get_indexer(pd.Index(labels)).astype(np.int64)

    @property
    def preprocessing(self) -> Preprocessing:
        return self.metadata.preprocessing

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        """Probabilities of stored images.

        Args:
            batch: uint8 RGB of shape (n, 3, store_size, store_size).

        Returns:
            float32 of shape (n, classes), summing to 1, on the CPU.
        """
        return self.answers(batch)[0]

    def answers(self, batch: torch.Tensor) -> tuple[torch.Tensor, np.ndarray | None]:
        """Probabilities of stored images, and their distances from the training images if there is a guard.

        Args:
            batch: uint8 RGB of shape (n, 3, store_size, store_size).

        Returns:
            float32 of shape (n, classes), and float64 of shape (n,), both on the CPU, from one forward pass.
        """
        if self.engine:
            logits, features = self.engine.outputs(batch)
        else:
            logits, features = forward(self.network, self.preprocessing, batch, self.device, self.metadata.tta_hflip)
        distances = self.guard.distances(features.numpy()) if self.guard else None
        return torch.softmax(logits / self.metadata.temperature, dim=1), distances


def write_weights(folder: Path, weights: dict[str, torch.Tensor]) -> str:
    """Write ``model.safetensors`` and return its SHA-256. Metadata, written afterwards, marks the folder complete."""
    file = folder / WEIGHTS_FILE
    with atomic(file) as temporary:
        save_file({name: value.contiguous() for name, value in weights.items()}, temporary)
    return sha256(file)


def load_model(folder: Path, device: torch.device) -> Model:
    """Load a model folder.

    Raises:
        MriError: If the folder is missing or damaged, or its weights or its guard are not those it was written with.
    """
    metadata = read_metadata(folder)
    content = checked_content(folder / WEIGHTS_FILE, metadata.sha256)
    network = Resnet18(len(metadata.classes))
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
        problem = str(error).splitlines()[0]
        raise MriError(f"{folder / WEIGHTS_FILE} does not fit its metadata: {problem}", train_again(folder)) from None
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    guard, reference = load_guard(folder, metadata)
    return Model(folder, metadata, network, device, guard=guard, reference=reference)


def load_guard(folder: Path, metadata: ModelMetadata) -> tuple[Guard, Reference] | tuple[None, None]:
    if metadata.guard is None:
        return None, None
    content = checked_content(folder / GUARD_FILE, metadata.guard.sha256)
    try:
        guard, reference = read_guard(content)
        check_guard(guard, reference, len(metadata.classes))
    except ValueError as error:
        raise MriError(f"{folder / GUARD_FILE} is damaged: {error}", train_again(folder)) from None
    return guard, reference


def checked_content(file: Path, digest: str) -> bytes:
    """A file of the model folder, read once: what is used is what was checked, whatever happens to the file.

    Raises:
        MriError: If it is missing or has another digest.
    """
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise MriError(
            f"{file} is missing or not the file this model was written with",
            f"restore it, or {train_again(file.parent)}",
        )
    return content


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result."""
    import cv2
    import torchvision

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "opencv": cv2.__version__,
    }


def git_commit() -> str | None:
    """The commit of the checkout this code runs from, None outside a checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
