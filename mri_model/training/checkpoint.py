"""What a training needs to go on after its death, in one file that is never half-written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import Optimizer

from mri_model.errors import MriError
from mri_model.files import atomic

NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """Where a training stands.

    ``history``: the epochs done, rows of ``history.csv``. ``best``: the weights of the best of them by validation
    macro-F1. Of the epoch under way: the ``steps`` taken, the sums of loss and of correct answers over the ``images``
    seen, the ``seconds`` spent. Order and mirror images are drawn from (seed, epoch, step), so no generator is kept.
    """

    batch_size: int
    precision: str
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    steps: int = 0
    loss: float = 0.0
    correct: int = 0
    images: int = 0
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1."""
        return len(self.history) + 1

    @property
    def best_row(self) -> dict[str, Any]:
        return max(self.history, key=lambda row: (row["val_f1"], -row["epoch"]))

    def next_epoch(self, row: dict[str, Any]) -> None:
        self.history.append(row)
        self.steps = self.correct = self.images = 0
        self.loss = self.seconds = 0.0


def save_checkpoint(folder: Path, network: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
    """Raises MriError where the file cannot be written; the one before it then stands."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best.items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(network, optimizer).items()}
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    facts = {name: value for name, value in vars(progress).items() if name != "best"}
    try:
        with atomic(folder / NAME) as temporary:
            save_file(stored, temporary, metadata={"progress": json.dumps(facts)})
    except (OSError, SafetensorError) as error:
        raise MriError(
            f"the checkpoint cannot be written to {folder}: {error}",
            "make room there and run the same command again: it goes on from the last good checkpoint",
        ) from None


def load_checkpoint(folder: Path, network: nn.Module, optimizer: Optimizer) -> Progress | None:
    """Bring network and optimizer to where the checkpoint left them; None where there is none."""
    file = folder / NAME
    if not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as opened:
            facts = json.loads(opened.metadata()["progress"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
        progress = Progress(**facts, best=under("best.", tensors))
        network.load_state_dict(under("network.", tensors))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise MriError(f"{file} is damaged: {error}", f"delete {folder} and train again") from None
    restore_optimizer(network, optimizer, under("optimizer.", tensors))
    return progress


def optimizer_tensors(network: nn.Module, optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """What the optimizer remembers of each parameter, as ``<parameter>/<kind>``."""
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
        device = "cpu" if kind == "step" else parameters[name].device  # where PyTorch's own optimizers keep them
        optimizer.state[parameters[name]][kind] = value.to(device)


def under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
