"""What a training needs to go on after its death, in one file that is never half-written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import SGD

from mri_model.errors import MriError
from mri_model.files import atomic

NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """The epochs done (rows of ``history.csv``) and the weights of the best of them by validation macro-F1."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def best_row(self) -> dict[str, Any]:
        return max(self.history, key=lambda row: (row["val_f1"], -row["epoch"]))


def save_checkpoint(folder: Path, network: nn.Module, optimizer: SGD, progress: Progress) -> None:
    """Network, momentum, best weights and history. Shuffling is drawn from (seed, epoch), so no generator is kept."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best.items()}
    tensors |= {f"momentum.{name}": value for name, value in momentum(network, optimizer).items()}
    with atomic(folder / NAME) as temporary:
        stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(stored, temporary, metadata={"history": json.dumps(progress.history)})


def load_checkpoint(folder: Path, network: nn.Module, optimizer: SGD) -> Progress:
    """Bring network and optimizer to where the checkpoint left them; an empty Progress where there is none."""
    file = folder / NAME
    if not file.is_file():
        return Progress()
    try:
        with safe_open(file, "pt") as opened:
            history = json.loads(opened.metadata()["history"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise MriError(f"{file} is damaged: {error}", f"delete {folder} and train again") from None
    network.load_state_dict(under("network.", tensors))
    buffers = under("momentum.", tensors)
    for name, parameter in network.named_parameters():
        if name in buffers:
            optimizer.state[parameter]["momentum_buffer"] = buffers[name].to(parameter.device)
    return Progress(history, under("best.", tensors))


def momentum(network: nn.Module, optimizer: SGD) -> dict[str, torch.Tensor]:
    buffers = {
        name: optimizer.state.get(parameter, {}).get("momentum_buffer")
        for name, parameter in network.named_parameters()
    }
    return {name: buffer for name, buffer in buffers.items() if buffer is not None}


def under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
