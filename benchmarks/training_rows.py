"""The training loops that ``training.py`` compares. Each runs in its own process: ``training_rows.py NAME PLAN``."""

import argparse
import itertools
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # its customary name
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:  # a row imports what it measures and no more: its memory counts, and timm's interpreter lacks ours
    from mri_model.data.pixel_store import PixelStore
    from mri_model.training.recipe import Recipe

WARM_UP = 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ALONE = "ours, random tensors already there"
OUR_RECIPES = ("quick", "modern")
"""Without augmentation, and with it from a larger store."""

Batch = tuple[torch.Tensor, torch.Tensor]
Step = Callable[[torch.Tensor, torch.Tensor], Any]
Plan = dict[str, Any]
"""What a row's process is told, as JSON: files, targets and positions in the pixel store of the training split, and the
options."""


def main() -> None:
    """Measure one row, and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=ROWS)
    parser.add_argument("plan", type=Path)
    options = parser.parse_args()
    plan = json.loads(options.plan.read_text())
    torch.manual_seed(0)
    batches, step = ROWS[options.name](plan)
    print(json.dumps(figures(clock(batches, step, plan), plan)))


def clock(batches: Iterator[Batch], step: Step, plan: Plan) -> list[tuple[float, float]]:
    """Seconds to get each batch, and of the whole step. A loop reads its loss each step, so each waits for the GPU."""
    times = []
    for _ in range(WARM_UP + plan["steps"]):
        started = time.perf_counter()
        images, targets = next(batches)
        fetched = time.perf_counter()
        step(images, targets)
        if plan["device"] == "cuda":
            torch.cuda.synchronize()
        times.append((fetched - started, time.perf_counter() - started))
    return times[WARM_UP:]


def figures(times: list[tuple[float, float]], plan: Plan) -> dict[str, float]:
    """Rate from the median step; waiting and an epoch from all: loader processes make several batches at a time."""
    fetching, whole = (sum(column) for column in zip(*times, strict=True))
    return {
        "images_per_second": plan["batch_size"] / statistics.median(step for _, step in times),
        "data_share": fetching / whole,
        "epoch_seconds": whole / len(times) * len(plan["files"]) / plan["batch_size"],
        "peak_mb": sum(map(peak_mb, ["self", *(child.pid for child in multiprocessing.active_children())])),
        "peak_gpu_mb": torch.cuda.max_memory_allocated() / 2**20 if plan["device"] == "cuda" else 0.0,
    }


def peak_mb(process: str | int | None) -> float:
    """Peak resident memory, mapped files with it. Not ru_maxrss where there is /proc: that one is handed down through
    fork and exec, from a parent that has ingested."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if process == "self" else 0.0


def forever(loader: Iterable[Any]) -> Iterator[Any]:
    return itertools.chain.from_iterable(itertools.repeat(loader))


class ReportImages(Dataset):
    """The report's: each image read, resized and normalised anew each time it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self.files, self.targets, self.size = plan["files"], plan["targets"], plan["size"]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        import cv2

        image = cv2.resize(cv2.imread(self.files[index]), (self.size, self.size))
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        image = (image - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), self.targets[index]


def report_row(plan: Plan, workers: int = 0) -> tuple[Iterator[Batch], Step]:
    context = "forkserver" if workers else None
    loader = DataLoader(
        ReportImages(plan), plan["batch_size"], shuffle=True, num_workers=workers, multiprocessing_context=context
    )
    network = build(plan).to(plan["device"])
    return forever(loader), plain_step(network, torch.optim.SGD(network.parameters(), 0.01), plan["device"])


def report_workers_row(plan: Plan) -> tuple[Iterator[Batch], Step]:
    return report_row(plan, plan["workers"])


class ListReader:
    """What timm's ImageDataset calls a reader: gives an opened file and its target."""

    def __init__(self, plan: Plan) -> None:
        self.files, self.targets = plan["files"], plan["targets"]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Path(self.files[index]).open("rb"), self.targets[index]


def timm_row(plan: Plan) -> tuple[Iterator[Batch], Step]:
    """The loader, network and step of timm's train.py by its defaults: crop, flip, colour jitter; fp32, NCHW."""
    import timm
    from timm.data import ImageDataset, create_loader
    from timm.optim import create_optimizer_v2

    loader = create_loader(
        ImageDataset("", reader=ListReader(plan)),
        input_size=(3, plan["size"], plan["size"]),
        batch_size=plan["batch_size"],
        is_training=True,
        interpolation="random",
        num_workers=plan["workers"],
        device=torch.device(plan["device"]),
    )
    network = timm.create_model("resnet18", num_classes=plan["classes"]).to(plan["device"])
    optimizer = create_optimizer_v2(network, opt="sgd", lr=0.01, momentum=0.9, weight_decay=2e-5)
    return forever(loader), plain_step(network, optimizer, plan["device"])


def plain_step(network: nn.Module, optimizer: torch.optim.Optimizer, device: str) -> Step:
    network.train()

    def step(images: torch.Tensor, targets: torch.Tensor) -> float:
        loss = F.cross_entropy(network(images.to(device)), targets.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def our_recipe(name: str, size: int) -> "Recipe":
    from mri_model.training.recipe import make_recipe

    return make_recipe(name, image_size=size)


def our_row(plan: Plan, recipe: str = "quick") -> tuple[Iterator[Batch], Step]:
    return our_batches(plan, recipe), our_step(plan)


def our_augmented_row(plan: Plan) -> tuple[Iterator[Batch], Step]:
    return our_row(plan, "modern")


def our_batches(plan: Plan, name: str) -> Iterator[Batch]:
    """Batches off the memory-mapped store, in a new order each epoch; each is whole."""
    from mri_model.data.pixel_store import open_pixels

    store, recipe, device = open_pixels(Path(plan["pixels"][name])), our_recipe(name, plan["size"]), plan["device"]
    positions, targets = np.array(plan["positions"]), np.array(plan["targets"], np.int64)
    order, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    while True:
        shuffled = order.permutation(len(positions))
        for start in range(0, len(shuffled) - plan["batch_size"] + 1, plan["batch_size"]):
            chosen = shuffled[start : start + plan["batch_size"]]
            images = our_batch(store, positions[chosen], recipe, device, generator)
            yield images, torch.from_numpy(targets[chosen]).to(device)


def our_batch(
    store: "PixelStore",
    positions: np.ndarray,
    recipe: "Recipe",
    device: str,
    generator: torch.Generator,
) -> torch.Tensor:
    """What the network is given, on its device. See ``Trainer.train_step``."""
    from mri_model.training.augment import augment, draw

    images = augment(store.batch(positions).to(device), draw(len(positions), generator), recipe)
    return recipe.preprocessing.normalize(images)


def our_step(plan: Plan) -> Step:
    """Channels last, bf16 where the device has it, SGD with momentum."""
    network = build(plan).to(plan["device"], memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    bf16 = choose_precision(plan["precision"], torch.device(plan["device"])) == "bf16"

    def context() -> AbstractContextManager:
        return torch.autocast(plan["device"], torch.bfloat16, enabled=bf16)

    def step(images: torch.Tensor, targets: torch.Tensor) -> float:
        with context():
            logits = network(images)
        loss = F.cross_entropy(logits.float(), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def alone_row(plan: Plan) -> tuple[Iterator[Batch], Step]:
    n, size, device = plan["batch_size"], plan["size"], plan["device"]
    images = torch.randn(n, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(plan["classes"], (n,), device=device)
    return itertools.repeat((images, targets)), our_step(plan)


def build(plan: Plan) -> nn.Module:
    from mri_model.models.network import build_network

    return build_network(plan["classes"], plan["weights"], seed=0)


def choose_precision(wanted: str, device: torch.device) -> str:
    """As training's ``auto``: bf16 where the device computes in it natively; elsewhere a CPU is slower by it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"


ROWS: dict[str, Callable[[Plan], tuple[Iterator[Batch], Step]]] = {
    "report": report_row,
    "report, workers": report_workers_row,
    "timm": timm_row,
    "ours": our_row,
    "ours, augmented": our_augmented_row,
    ALONE: alone_row,
}

if __name__ == "__main__":
    main()
