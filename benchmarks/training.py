"""How fast a training step is: the report's own loop, timm, ours, and ours without any data to fetch.

    python benchmarks/training.py speed DATA [--sizes 100,128,224] [--timm PYTHON] [--json]

PYTHON is an interpreter that has timm, which need have nothing else of ours: ``python3 -m venv peers && peers/bin/pip
install timm``. All rows are taken in one run on the same training images, each in a process of its own, so that peak
memory is its own; run it on a machine that does nothing else.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import training_rows
from benchmarks.training_rows import ALONE, OUR_RECIPES, ROWS, Plan, choose_precision, our_recipe

if TYPE_CHECKING:
    from mri_model.data.manifest import Manifest


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
        command = [timm if name == "timm" else sys.executable, training_rows.__file__, name, plan["file"]]
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


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
