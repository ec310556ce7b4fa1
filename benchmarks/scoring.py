"""How fast a folder is scored: ours from the folder to rows in Parquet and SQLite, timm, a plain PyTorch loop.

    python benchmarks/scoring.py DATA [--n 1000] [--size 224] [--timm PYTHON] [--rounds 2] [--precisions fp32,bf16]
    python benchmarks/scoring.py memory DATA [--n 100000]

DATA is any folder of images; ``--n`` of its files are scored, the same by all. The networks have the weights of one
model, which is trained for one epoch on phantom images. timm and the plain loop write one CSV. Every row is a process
of its own; rates are of the whole process, and without its start: from the first file read to the last row written.
"Bare forward" computes batches that are in memory already. Run it on a machine that does nothing else.

``memory`` scores many hard links to a few files in one run each, and prints the peak memory of both.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BATCH = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".tif", ".tiff", ".bmp")

Result = dict[str, Any]


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="mri-benchmark-") as work:
        measure = measure_memory if options.memory else measure_rates
        rows = measure(options, Path(work))
    print(json.dumps(rows, indent=2) if options.json else as_table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", metavar="[memory] DATA")
    parser.add_argument("--n", type=int, help="default: 1000; memory: 100000")
    parser.add_argument("--size", type=int, help="pixels; default: 224, memory: 32")
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many; default: 2")
    parser.add_argument("--timm", default=sys.executable, metavar="PYTHON", help="an interpreter that has timm")
    parser.add_argument("--precisions", default="fp32,bf16", help="bf16 is slow where the processor does not have it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    *before, data = options.what
    options.memory, options.data = before == ["memory"], Path(data)
    if before not in ([], ["memory"]) or not options.data.is_dir():
        parser.error(f"there is no folder {data}")
    options.n = options.n or (100_000 if options.memory else 1000)
    options.size = options.size or (32 if options.memory else 224)
    return options


def measure_rates(options: argparse.Namespace, work: Path) -> list[Result]:
    folder = link_files(options.data, work / "files", options.n)
    model = make_model(work / "home", options.size)
    jobs: list[tuple[str, list[str]]] = [
        (f"{name}, {precision}", [python, __file__, kind, str(folder), str(model), precision])
        for precision in options.precisions.split(",")
        for name, kind, python in (
            ("bare forward, OpenVINO", "--bare-openvino", sys.executable),
            ("bare forward, PyTorch", "--bare-pytorch", sys.executable),
            ("ours", "--ours", sys.executable),
            ("timm", "--timm-loop", options.timm),
            ("plain PyTorch loop", "--plain-loop", sys.executable),
        )
    ]
    best: dict[str, Result] = {}
    for round_ in range(options.rounds):
        for name, command in jobs:
            say(f"round {round_ + 1}: {name}")
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                say(f"{name} is left out: {done.stderr.strip().splitlines()[-1]}")
                continue
            own = json.loads(done.stdout.splitlines()[-1])
            row = {"what": name, "images/s": own["n"] / own["seconds"]}
            if "bare" not in name:
                row["whole process"] = own["n"] / (time.perf_counter() - started)
            if name not in best or row["images/s"] > best[name]["images/s"]:
                best[name] = row
    return [{**row, **ratios(row, best)} for row in best.values()]


def ratios(row: Result, rows: dict[str, Result]) -> Result:
    """The rate as a multiple of timm's and of the best bare forward pass of the same precision."""
    precision = row["what"].rpartition(" ")[2]
    bare = [each["images/s"] for name, each in rows.items() if name.startswith("bare") and name.endswith(precision)]
    timm = rows.get(f"timm, {precision}")
    return {
        "of bare forward": row["images/s"] / max(bare) if bare else None,
        "of timm": row["images/s"] / timm["images/s"] if timm else None,
    }


def measure_memory(options: argparse.Namespace, work: Path) -> list[Result]:
    model, rows = make_model(work / "home", options.size), []
    for n in (1000, options.n):
        say(f"{n} files")
        folder = link_files(options.data, work / f"files-{n}", n)
        command = [sys.executable, __file__, "--ours", str(folder), str(model), "fp32"]
        own = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        rows.append({"files": n, "peak MB": own["peak_mb"], "images/s": own["n"] / own["seconds"]})
        rows[-1]["first row after s"] = own["first_row"]
    return rows


def link_files(data: Path, folder: Path, n: int) -> Path:
    """``n`` hard links to the images below ``data``, again and again if there are fewer; copies on another disk."""
    files = sorted(file for file in data.rglob("*") if file.suffix.lower() in SUFFIXES)
    step = max(1, len(files) // n)
    for number in range(n):
        source = files[number * step % len(files)]
        target = folder / f"{number // 1000:03}" / f"{number:06}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return folder


def make_model(home: Path, size: int) -> Path:
    """A model folder with a network of 44 classes for images of ``size`` pixels."""
    from mri_model import api
    from mri_model.data.phantom import write_phantom
    from mri_model.settings import Settings
    from mri_model.training.recipe import Recipe

    settings = Settings(home=home, database_url="")
    write_phantom(home.parent / "phantom", per_class=4, seed=0, max_side=96)
    api.ingest(settings, home.parent / "phantom")
    return api.train(settings, Recipe(image_size=size, batch_size=32, epochs=1, weights="none")).folders[0]


def ours(folder: Path, model: Path, precision: str) -> Result:
    """``mri score``, with its own progress callback to see when the first rows are there."""
    from mri_model import api, steps
    from mri_model.settings import Settings

    begun = time.perf_counter()
    rows: list[float] = []

    def progress(stage: str, done: int, total: int) -> None:
        if done:
            rows.append(time.perf_counter() - begun)

    with tempfile.TemporaryDirectory(prefix="mri-benchmark-home-") as home:
        settings = Settings(home=Path(home), database_url="")
        scored = api.score(settings, folder, str(model), precision=precision, run=api.StepRunner(progress))  # type: ignore[arg-type]
        with steps.open_store(settings) as store:
            (run,) = store.query("scored-runs").to_dict("records")
    seconds = (run["finished_at"] - run["started_at"]).total_seconds()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"n": scored.counts.n_found, "seconds": seconds, "peak_mb": round(peak), "first_row": rows[0]}


def bare(folder: Path, model: Path, precision: str, engine: str) -> Result:
    import torch

    from mri_model.models import engine as engines
    from mri_model.models.artifact import load_model

    loaded = load_model(model, torch.device("cpu"))
    chosen = (engines.pytorch_engine if engine == "pytorch" else engines.openvino_engine)(loaded, precision)
    assert chosen
    size = loaded.preprocessing.store_size
    batch = torch.randint(0, 256, (BATCH, 3, size, size), dtype=torch.uint8)
    chosen.outputs(batch)
    seconds = [timed(lambda: chosen.outputs(batch)) for _ in range(8)]
    return {"n": BATCH, "seconds": statistics.median(seconds)}


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def plain_loop(folder: Path, model: Path, precision: str) -> Result:
    """What one writes without a library: a dataset of Pillow and torchvision, two workers, one CSV."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms
    from torchvision.models import resnet18

    size = json.loads((model / "model.json").read_text())["preprocessing"]["size"]
    transform = transforms.Compose(
        [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )

    class Files(Dataset[Any]):
        def __init__(self) -> None:
            self.files = sorted(file for file in folder.rglob("*") if file.is_file())

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, at: int) -> Any:
            return transform(Image.open(self.files[at]).convert("RGB")), str(self.files[at])

    network = resnet18(num_classes=44)
    network.load_state_dict(weights(model))
    return loop(network, DataLoader(Files(), batch_size=BATCH, num_workers=2), precision, channels_last=False)


def timm_loop(folder: Path, model: Path, precision: str) -> Result:
    """timm's data set, transforms and model, as in its inference.py, with channels_last."""
    import timm
    from timm.data import create_dataset, create_loader

    size = json.loads((model / "model.json").read_text())["preprocessing"]["size"]
    network = timm.create_model("resnet18", num_classes=44)
    network.load_state_dict(weights(model))
    dataset = create_dataset("", root=str(folder))
    loader = create_loader(
        dataset,
        (3, size, size),
        batch_size=BATCH,
        use_prefetcher=False,
        num_workers=2,
        mean=MEAN,
        std=STD,
        device="cpu",
    )
    names = iter(dataset.filenames(basename=True))
    pairs = ((images, [next(names) for _ in images]) for images, _ in loader)
    return loop(network, pairs, precision, channels_last=True)


def weights(model: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name.removeprefix("resnet."): value for name, value in load_file(model / "model.safetensors").items()}


def loop(network: Any, batches: Any, precision: str, channels_last: bool) -> Result:
    import torch

    network = network.eval()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    n, started = 0, time.perf_counter()
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file, torch.inference_mode():
        writer = csv.writer(file)
        for images, names in batches:
            layout = torch.channels_last if channels_last else torch.contiguous_format
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                logits = network(images.contiguous(memory_format=layout)).float()
            best = logits.softmax(1).max(1)
            writer.writerows(zip(names, best.indices.tolist(), best.values.tolist(), strict=True))
            n += len(names)
    return {"n": n, "seconds": time.perf_counter() - started}


def as_table(rows: list[Result]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[at]) for line in [names, *cells]) for at in range(len(names))]
    return "\n".join(aligned(line, widths) for line in [names, *cells])


def aligned(line: list[str], widths: list[int]) -> str:
    first, *rest = (text.rjust(width) for text, width in zip(line, widths, strict=True))
    return "  ".join([line[0].ljust(widths[0]) if line[0] == first.strip() else first, *rest])


def shown(value: Any) -> str:
    return (
        ""
        if value is None
        else f"{value:.2f}"
        if isinstance(value, float) and value < 10
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


ROWS: dict[str, Callable[[Path, Path, str], Result]] = {
    "--ours": ours,
    "--bare-openvino": lambda folder, model, precision: bare(folder, model, precision, "openvino"),
    "--bare-pytorch": lambda folder, model, precision: bare(folder, model, precision, "pytorch"),
    "--timm-loop": timm_loop,
    "--plain-loop": plain_loop,
}
"""What the process of a row measures."""


def rows_of(arguments: list[str]) -> Iterator[Result]:
    if arguments and arguments[0] in ROWS:
        yield ROWS[arguments[0]](Path(arguments[1]), Path(arguments[2]), arguments[3])


if __name__ == "__main__":
    for own in rows_of(sys.argv[1:]):
        print(json.dumps(own))
        break
    else:
        main()
