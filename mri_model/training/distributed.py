"""Data-parallel training: the processes that ``torchrun`` started work on one training together.

Every process computes a shard of each batch. Gradients and batch statistics are those of the whole batch, and only the
first process validates, writes and records, so the result is that of one process with the same batch size, within
rounding.
"""

import atexit
import inspect
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mri_model.progress import is_distributed

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)
"""How long the other processes wait while the first one decodes or validates."""


@dataclass(frozen=True)
class World:
    """The processes of one training: this one has ``rank`` (from 0) of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def shard(self, batch: Any) -> Any:
        """This process's part of a batch (an array or a tensor, along its first dimension)."""
        return batch[self.rank :: self.size]

    def all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes, on its device."""
        return values if self.size == 1 else summed(values)

    def broadcast(self, value: T) -> T:
        """The first process's value; the others wait for it."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def barrier(self) -> None:
        """Wait until every process has arrived here."""
        self.broadcast(None)

    def parallelize(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network with gradients averaged over all processes."""
        if self.size == 1:
            return network
        devices = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, **{NO_BUFFER_SYNC: False})  # type: ignore[arg-type]


NO_BUFFER_SYNC = (
    "forward_sync_buffers"  # newer versions of PyTorch warn about the old name
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel.__init__).parameters
    else "broadcast_buffers"
)


def join_world() -> World:
    """The processes that ``torchrun`` started, or this one alone. CPU tensors are sent by gloo, GPU tensors by NCCL."""
    if not is_distributed():
        return World()
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
        atexit.register(dist.destroy_process_group)
    return World(dist.get_rank(), dist.get_world_size())


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process: each process of a machine has its own."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if device.type == "cuda" else device


class SumOverAll(torch.autograd.Function):
    """The sum of a tensor over all processes; each one's gradient is the sum of all theirs."""

    @staticmethod
    def forward(_: Any, values: torch.Tensor) -> torch.Tensor:
        return summed(values)

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> torch.Tensor:
        return summed(gradient)


def summed(values: torch.Tensor) -> torch.Tensor:
    held = values.clone()
    dist.all_reduce(held)
    return held


def over_all(values: torch.Tensor) -> torch.Tensor:
    return SumOverAll.apply(values)


class ProcessSyncBatchNorm(nn.BatchNorm2d):
    """Batch normalization with the statistics of all processes' images, on any device.

    PyTorch's SyncBatchNorm works on GPUs only. Parameters and buffers are those of BatchNorm2d; so is the result on the
    whole batch, within rounding.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(input)
        values = input if input.dtype == torch.float64 else input.float()
        n = torch.full((1,), values.numel() / values.shape[1], dtype=values.dtype, device=values.device)
        sums = over_all(torch.cat([values.sum((0, 2, 3)), n]))
        mean = sums[:-1] / sums[-1]
        centred = values - mean.view(1, -1, 1, 1)
        variance = over_all(centred.square().sum((0, 2, 3))) / sums[-1]
        self.update_running(mean.detach(), (variance * sums[-1] / (sums[-1] - 1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(input.dtype)

    @torch.no_grad()
    def update_running(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        for buffer, value in ((self.running_mean, mean), (self.running_var, variance)):
            assert buffer is not None
            buffer.lerp_(value, momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1


def sync_batch_norm(network: nn.Module, device: torch.device) -> None:
    """Make ``network`` normalize its batches over all processes. The names in its state dict stay."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # in place, below the module it is given
        return
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = ProcessSyncBatchNorm
