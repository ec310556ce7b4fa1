"""The checkpoint: all that a training needs to resume, in one file that is never half-written."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import Optimizer

from mri_model.errors import MriError
from mri_model.files import atomic
from mri_model.models.metadata import EpochMetrics, best_epoch, train_again

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass
class TrainingState:
    """How far a training has got.

    Random numbers are drawn from (seed, epoch, step), so no generator's state is kept.

    Attributes:
        threads: CPU threads it computes with; on a CPU, another number gives other last bits.
        history: The finished epochs.
        best: Weights of the epoch with the best validation macro-F1.
        temperature: What calibrates these weights' probabilities on the validation split.
        steps: Steps taken in the current epoch.
        loss: Sum of the losses of the images seen in the current epoch.
        correct: Number of them that were classified correctly.
        images: Number of images seen in the current epoch.
        seconds: Time spent in the current epoch.
    """

    batch_size: int
    precision: str
    threads: int
    history: list[EpochMetrics] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    temperature: float = 1.0
    steps: int = 0
    loss: float = 0.0
    correct: int = 0
    images: int = 0
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return len(self.history) + 1

    @property
    def best_epoch(self) -> EpochMetrics:
        return best_epoch(self.history)

    def finish_epoch(self, metrics: EpochMetrics) -> None:
        self.history.append(metrics)
        self.steps = self.correct = self.images = 0
        self.loss = self.seconds = 0.0

    def as_json(self) -> str:
        """All but the weights."""
        return json.dumps({name: value for name, value in plain_fields(self).items() if name != "best"})

    @classmethod
    def from_json(cls, text: str, best: dict[str, torch.Tensor]) -> "TrainingState":
        stored: dict[str, Any] = json.loads(text)
        history = [EpochMetrics(**row) for row in stored.pop("history")]
        return cls(**stored, history=history, best=best)


def plain_fields(state: TrainingState) -> dict[str, Any]:
    return vars(state) | {"history": [asdict(row) for row in state.history]}


def save_checkpoint(folder: Path, network: nn.Module, optimizer: Optimizer, state: TrainingState) -> None:
    """Raises MriError if the file cannot be written; the previous checkpoint then stays."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(network, optimizer).items()}
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with atomic(folder / CHECKPOINT_FILE) as temporary:
            save_file(stored, temporary, metadata={"state": state.as_json()})
    except (OSError, SafetensorError) as error:
        raise MriError(
            f"the checkpoint cannot be written to {folder}: {error}",
            "make room there and run the same command again: it resumes from the last good checkpoint",
        ) from None


def load_checkpoint(folder: Path, network: nn.Module, optimizer: Optimizer) -> TrainingState | None:
    """Load the checkpoint into network and optimizer; None if there is none. Raises MriError if it is damaged."""
    file = folder / CHECKPOINT_FILE
    if not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as opened:
            stored = opened.metadata()["state"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
        state = TrainingState.from_json(stored, under("best.", tensors))
        network.load_state_dict(under("network.", tensors))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise MriError(f"{file} is damaged: {error}", train_again(folder)) from None
    restore_optimizer(network, optimizer, under("optimizer.", tensors))
    return state


def optimizer_tensors(network: nn.Module, optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state of each parameter, as ``<parameter>/<kind>``."""
    return {
        f"{name}/{kind}": value
        for name, parameter in network.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(network: nn.Module, optimizer: Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters = dict(network.named_parameters())
    for key, value in tensors.items():
        name, kind = key.rsplit("/", 1)
        device = "cpu" if kind == "step" else parameters[name].device  # where PyTorch's optimizers keep it
        optimizer.state[parameters[name]][kind] = value.to(device)


def under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
