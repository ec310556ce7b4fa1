"""The model folder: weights without pickle, and a metadata that says all that is needed to use them."""

import hashlib
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mri_model.data.manifest import Manifest
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.files import atomic, write_json
from mri_model.models.inference import forward
from mri_model.models.metadata import FORMAT, read_metadata
from mri_model.models.network import Resnet18

if TYPE_CHECKING:
    from mri_model.training.recipe import Recipe

INTENDED_USE = "Research on brain MRI image classification. Not a medical device; not for diagnosis."


@dataclass(frozen=True)
class Model:
    """A trained network with its class order and preprocessing, ready to predict on ``device``."""

    id: str
    folder: Path
    network: Resnet18
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    metadata: dict[str, Any]
    device: torch.device

    @property
    def tta_hflip(self) -> bool:
        """Whether it answers with the mean over an image and its mirror image, as it was chosen to on validation."""
        return bool(self.metadata["tta_hflip"])

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 RGB (n, 3, size, size) → float32 probabilities (n, classes), summing to 1, on the CPU."""
        logits = forward(self.network, self.preprocessing, batch, self.device, self.tta_hflip)
        return torch.softmax(logits / self.metadata["temperature"], dim=1)


def write_model(
    folder: Path,
    model_id: str,
    manifest: Manifest,
    recipe: "Recipe",
    weights: dict[str, torch.Tensor],
    best: dict[str, Any],
    history: list[dict[str, Any]],
    device: str,
    choices: dict[str, Any],
) -> None:
    """Write weights first and the metadata last: a folder with a ``model.json`` is complete. ``choices``: what
    the recipe left to the device, such as the batch size."""
    with atomic(folder / "model.safetensors") as temporary:
        save_file({name: value.contiguous() for name, value in weights.items()}, temporary)
    metadata = {
        "format": FORMAT,
        "id": model_id,
        "network": "resnet18",
        "classes": list(manifest.classes),
        "preprocessing": asdict(recipe.preprocessing),
        "temperature": 1.0,
        "tta_hflip": recipe.tta_hflip,
        "protocol": recipe.protocol,
        "recipe": recipe.as_dict() | choices,
        "manifest": manifest.digest,
        "data": {"profile": manifest.profile, "digest": manifest.data_digest},
        "metrics": {name: value for name, value in best.items() if name not in ("seconds", "learning_rate")},
        "epochs": len(history),
        "seconds": round(sum(row["seconds"] for row in history), 3),
        "device": device,
        "created_at": datetime.now(UTC).isoformat(),
        "sha256": sha256(folder / "model.safetensors"),
        "versions": versions(),
        "git_commit": git_commit(),
        "intended_use": INTENDED_USE,
    }
    write_json(folder / "model.json", metadata)


def load_model(folder: Path, device: torch.device) -> Model:
    """Load a model folder. Raises MriError where it is missing or damaged, or where its weights have been exchanged."""
    metadata = read_metadata(folder)
    file = folder / "model.safetensors"
    if not file.is_file() or sha256(file) != metadata["sha256"]:
        raise MriError(
            f"{file} is missing or not the file this model was written with",
            f"restore it, or delete {folder} and train again",
        )
    network = Resnet18(len(metadata["classes"]))
    try:
        network.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError) as error:
        raise MriError(
            f"{file} does not fit its metadata: {str(error).splitlines()[0]}", f"delete {folder} and train again"
        ) from None
    fields = metadata["preprocessing"]
    preprocessing = Preprocessing(fields["size"], fields["resize"], tuple(fields["mean"]), tuple(fields["std"]))
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(metadata["id"], folder, network, tuple(metadata["classes"]), preprocessing, metadata, device)


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def versions() -> dict[str, str]:
    import cv2
    import torchvision

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "opencv": cv2.__version__,
    }


def git_commit() -> str | None:
    """The commit of the checkout this code runs from, None outside of one."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
