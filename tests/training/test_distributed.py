"""Two processes under torchrun train the same network as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mri_model import api, steps
from mri_model.models.network import Resnet18, build_network
from mri_model.settings import Settings
from mri_model.training.distributed import ProcessSyncBatchNorm, World, sync_batch_norm
from tests.conftest import MODEL_FOLDER
from tests.training.jobs import CPU

TRAIN = "train --weights none --image-size 32 --epochs 2 --batch-size 30 --set precision=fp32"
TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "mri_model.cli",
]


def command(home: Path, start: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MRI_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*start, *TRAIN.split(), *options], capture_output=True, text=True, env=environment, timeout=300
    )


def only_model(home: Path) -> dict[str, torch.Tensor]:
    (folder,) = (home / "models").glob("[!.]*")
    assert sorted(file.name for file in folder.iterdir()) == MODEL_FOLDER
    return load_file(folder / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["report", "modern"])
def test_two_processes_end_with_the_weights_of_one(phantom: Path, tmp_path: Path, recipe: str) -> None:
    trained = []
    for start in ([sys.executable, "-m", "mri_model.cli"], TORCHRUN):
        settings = Settings(home=tmp_path / str(len(start)))
        api.ingest(settings, phantom)
        done = command(settings.root, start, "--recipe", recipe, "--learning-rate", "0.0005")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("best epoch") == 1
        assert done.stderr.count("epoch 2: train loss") == 1
        with steps.open_store(settings) as store:
            assert len(store.query("models")) == 1
        trained.append(only_model(settings.root))
    initial = {f"resnet.{name}": value for name, value in build_network(44, "none", seed=0).resnet.state_dict().items()}
    names = [name for name, _ in build_network(44, "none", seed=0).named_parameters()]
    start, alone, together = (torch.cat([weights[name].flatten() for name in names]) for weights in (initial, *trained))
    difference = float((alone - together).norm() / (alone - start).norm())
    assert difference < 0.3  # rounding alone: up to 0.1; statistics of each process's own images: 1.5


def gradients(rank: int, size: int, file: str) -> None:
    """One process's part of a backward pass over ten images in float64; the first one saves the gradients."""
    store = torch.distributed.FileStore(f"{file}.store", size)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    try:
        network, world = small_network(), World(rank, size)
        sync_batch_norm(network, CPU)
        images, targets = (world.shard(part) for part in small_batch())
        parallel = world.parallelize(network, CPU)
        losses = nn.functional.cross_entropy(parallel(images), targets, reduction="none")
        (losses.sum() / 10 * size).backward()
        if world.is_first:
            torch.save({name: value.grad for name, value in network.named_parameters()}, file)
    finally:
        torch.distributed.destroy_process_group()


def small_network() -> Resnet18:
    torch.manual_seed(0)
    return Resnet18(5).double().train()


def small_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(10, 3, 32, 32, generator=generator, dtype=torch.float64), torch.arange(10) % 5


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    """In float64: at single precision, rounding alone changes the gradients of an untrained network by 1 %."""
    file = tmp_path / "gradients.pt"
    torch.multiprocessing.spawn(gradients, (2, str(file)), nprocs=2)
    network = small_network()
    images, targets = small_batch()
    nn.functional.cross_entropy(network(images), targets).backward()
    together = torch.load(file)
    for name, value in network.named_parameters():
        assert value.grad is not None
        assert torch.allclose(together[name], value.grad, rtol=1e-6, atol=1e-9 * float(value.grad.norm())), name


def test_normalization_over_one_process_is_batch_normalization() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, 32, 32, generator=generator)
    torch.manual_seed(0)
    plain = Resnet18(5)
    shared = Resnet18(5)
    shared.load_state_dict(plain.state_dict())
    sync_batch_norm(shared, torch.device("cpu"))
    assert any(isinstance(module, ProcessSyncBatchNorm) for module in shared.modules())
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        outputs = [network.train()(images) for network in (plain, shared)]
        for output in outputs:
            nn.functional.cross_entropy(output, torch.arange(6) % 5).backward()
    finally:
        torch.distributed.destroy_process_group()
    assert torch.allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)
    for one, other in zip(plain.state_dict().values(), shared.state_dict().values(), strict=True):
        assert torch.allclose(one.float(), other.float(), rtol=1e-4, atol=1e-5)
    for one, other in zip(plain.parameters(), shared.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=1e-2, atol=1e-3 * float(one.grad.norm()))


def test_the_shards_of_a_batch_are_all_of_it() -> None:
    batch = torch.arange(7)
    shards = [World(rank, 3).shard(batch) for rank in range(3)]
    assert torch.cat(shards).sort().values.tolist() == batch.tolist()
