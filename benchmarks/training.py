"""How fast a training step is: the report's own loop, timm, ours, and ours without any data to fetch.

    python benchmarks/training.py speed DATA [--sizes 100,128,224] [--timm PYTHON] [--json]

PYTHON is an interpreter that has timm, which need have nothing else of ours: ``python3 -m venv peers && peers/bin/pip
install timm``. All rows are taken in one run on the same training images, each in a process of its own, so that peak
memory is its own; run it on a machine that does nothing else.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
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
    from mri_model.data.manifest import Manifest
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
    options = parse()
    options.run(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="{speed}")
    command = commands.add_parser("speed", help="images a second, waiting for data, memory and an epoch's seconds")
    command.add_argument("data", type=Path)
    command.add_argument("--sizes", default="100,128,224")
    command.add_argument("--steps", type=int, default=20)
    command.add_argument("--rounds", type=int, default=1, help="take all rows this often, in turn, and the medians")
    command.add_argument("--batch-size", type=int, default=32)
    command.add_argument("--workers", type=int, default=2, help="of the rows that have loader processes")
    command.add_argument("--device", default="auto")
    command.add_argument("--weights", default="none", help="of all rows but timm's; no figure depends on them")
    command.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of our rows")
    command.add_argument("--protocol", default="random")
    command.add_argument("--profile", default="auto")
    command.add_argument("--home", type=Path, help="ingest into this MRI_HOME, not into a temporary one")
    command.add_argument("--timm", default=sys.executable, metavar="PYTHON")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=speed)
    command = commands.add_parser("row")
    command.add_argument("name", choices=ROWS)
    command.add_argument("plan", type=Path)
    command.set_defaults(run=run_row)
    return parser.parse_args()


def speed(options: argparse.Namespace) -> None:
    """Ingest, pack each size once, measure each row in its own process, print."""
    from mri_model.models.network import choose_device

    device = choose_device(options.device)
    names = rows_to_take(options)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = ingest(options, options.home or Path(temporary) / "home")
        facts = describe(options, device, manifest)
        results, packing = [], []
        for size in (int(size) for size in options.sizes.split(",")):
            plan, took = prepare(manifest, size, options, device, Path(temporary))
            packing.append({"size": size, "images": len(manifest.frame), "seconds": took})
            results += validate_([{"size": size, **row} for row in measure(names, plan, options.rounds, options.timm)])
    if options.json:
        print(json.dumps({**facts, "packing": packing, "rows": results}, indent=2))
    else:
        show(facts, packing, results)


def rows_to_take(options: argparse.Namespace) -> list[str]:
    found = subprocess.run([options.timm, "-c", "import timm"], capture_output=True, check=False).returncode == 0
    if not found:
        say(f"{options.timm} cannot import timm: its row is left out; install timm in a venv of its own, give --timm")
    return [name for name in ROWS if found or name != "timm"]


def ingest(options: argparse.Namespace, home: Path) -> "Manifest":
    from mri_model import api
    from mri_model.settings import Settings

    manifest = api.ingest(Settings(home=home, database_url=""), options.data, options.profile)
    say(f"{options.data} is manifest {manifest.digest[:10]}")
    return manifest


def describe(options: argparse.Namespace, device: torch.device, manifest: "Manifest") -> dict[str, Any]:
    threads = f"CPU, {torch.get_num_threads()} threads of {os.cpu_count()} cores"
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else threads,
        "torch": torch.__version__,
        "precision of ours": choose_precision(options.precision, device),
        "training images": len(manifest.partition(options.protocol).rows("train")),
        "batch_size": options.batch_size,
        "workers": options.workers,
        "steps": options.steps,
        "rounds": options.rounds,
    }


def prepare(
    manifest: "Manifest", size: int, options: argparse.Namespace, device: torch.device, temporary: Path
) -> tuple[Plan, float]:
    """Pack the pixels, always anew, and write down what the rows are to do; with the seconds that packing took."""
    from mri_model.data.pixel_store import pack_pixels

    stores = {name: temporary / f"pixels-{name}-{size}" for name in OUR_RECIPES}
    pack_pixels(manifest, our_recipe("modern", size).preprocessing, stores["modern"])
    started = time.perf_counter()
    pack_pixels(manifest, our_recipe("quick", size).preprocessing, stores["quick"])
    took = time.perf_counter() - started
    say(f"{size} px: packed {len(manifest.frame)} images in {took:.2f} s")
    split = manifest.partition(options.protocol).rows("train")
    plan = {
        "files": [str(manifest.root / path) for path in split["path"]],
        "targets": manifest.class_indices(split["label"]).tolist(),
        "positions": split.index.tolist(),
        "pixels": {name: str(next(store.iterdir())) for name, store in stores.items()},
        "classes": len(manifest.classes),
        "size": size,
        "device": device.type,
        **{name: getattr(options, name) for name in ("steps", "batch_size", "workers", "weights", "precision")},
    }
    plan["file"] = str(temporary / f"plan-{size}.json")
    Path(plan["file"]).write_text(json.dumps(plan))
    return plan, took


def measure(names: list[str], plan: Plan, rounds: int, timm: str) -> list[dict[str, Any]]:
    """The median of each row's figures over the rounds; a row that fails is left out and said."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _, name in itertools.product(range(rounds), names):
        say(f"{plan['size']} px: {name}")
        command = [timm if name == "timm" else sys.executable, __file__, "row", name, plan["file"]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            taken[name].append(json.loads(done.stdout.splitlines()[-1]))
        else:
            say(f"{plan['size']} px: {name} ended with {done.returncode}")
    return [{"row": titled(name, plan), **medians(figures)} for name, figures in taken.items() if figures]


def titled(name: str, plan: Plan) -> str:
    return name.replace("workers", f"{plan['workers']} workers")


def medians(figures: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in figures) for key in figures[0]}


def validate_(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Set our rows beside the step alone: 1 means that the data path costs nothing."""
    alone = next((row["images_per_second"] for row in rows if row["row"] == ALONE), None)
    for row in rows:
        ours = alone and row["row"].startswith("ours")
        row["of_step_alone"] = row["images_per_second"] / alone if ours else None
    return rows


def show(facts: dict[str, Any], packing: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    for one in packing:
        rate = one["images"] / one["seconds"]
        print(f"packing {one['images']} images at {one['size']} px, once: {one['seconds']:.2f} s ({rate:.0f} images/s)")
    heads = ["size", "loop", "images/s", "of the step alone", "waiting for data", "epoch, s", "peak MB", "peak GPU MB"]
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        share = "" if row["of_step_alone"] is None else f"{row['of_step_alone']:.3f}"
        gpu = f"{row['peak_gpu_mb']:.0f}" if row["peak_gpu_mb"] else ""
        cells = [row["size"], row["row"], f"{row['images_per_second']:.1f}", share, f"{row['data_share']:.1%}"]
        cells += [f"{row['epoch_seconds']:.1f}", f"{row['peak_mb']:.0f}", gpu]
        print("| " + " | ".join(map(str, cells)) + " |")


# What follows runs in a row's own process.


def run_row(options: argparse.Namespace) -> None:
    plan = json.loads(options.plan.read_text())
    torch.manual_seed(0)
    batches, step = ROWS[options.name](plan)
    times = clock(batches, step, plan)
    print(json.dumps(figures(times, plan)))


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


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


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
