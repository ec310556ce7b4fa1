"""Ingestion against a bare decoding loop, against itself on an unchanged folder, on 100,000 images, and against peers.

    python benchmarks/ingest.py rates DATA
    python benchmarks/ingest.py many OUT --n 100000
    python benchmarks/ingest.py copies OUT --peers PYTHON [--data DATA]

PYTHON is an interpreter that has imagededup and cleanvision: ``python3 -m venv peers && peers/bin/pip install
imagededup cleanvision``. Ratios are taken in one run on the same files; run it on a machine that does nothing else.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mri_model import api
from mri_model.data.comparison import compare_images
from mri_model.data.inventory import take_inventory
from mri_model.data.parallel import ordered_map
from mri_model.data.phantom import write_phantom
from mri_model.report.tables import format_table
from mri_model.settings import Settings

PEERS = Path(__file__).with_name("near_duplicate_peers.py")


def main() -> None:
    options = parse()
    options.run(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rates", help="images a second beside a bare loop; first and repeated ingestion")
    command.add_argument("data", type=Path)
    command.add_argument("--rounds", type=int, default=5)
    command.set_defaults(run=rates)
    command = commands.add_parser("many", help="time and memory of a whole ingestion of generated images")
    command.add_argument("out", type=Path)
    command.add_argument("--n", type=int, default=100_000)
    command.set_defaults(run=many)
    command = commands.add_parser("copies", help="which known copies each tool finds, and in what time")
    command.add_argument("out", type=Path)
    command.add_argument("--peers", default=sys.executable)
    command.add_argument("--data", type=Path, help="time the tools on these files too")
    command.set_defaults(run=copies)
    return parser.parse_args()


def rates(options: argparse.Namespace) -> None:
    """Alternate a bare read-and-decode loop with the whole inventory, at one thread and at one a core."""
    cv2.setNumThreads(1)  # for both
    files = sorted(file for file in options.data.rglob("*") if file.is_file())
    rows = []
    for threads in (1, cores()):
        bare, ours = [], []
        for _ in range(options.rounds):
            bare.append(seconds(lambda n=threads: bare_loop(files, n)))
            ours.append(seconds(lambda n=threads: take_inventory(options.data, threads=n)))
        loop, inventory = (len(files) / statistics.median(times) for times in (bare, ours))
        rows.append((f"{threads} thread(s)", round(loop), round(inventory), inventory / loop))
    print(format_table(pd.DataFrame(rows, columns=["", "bare loop, images/s", "inventory, images/s", "ratio"])))
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        import great_expectations.expectations  # noqa: F401  # its import belongs to neither

        first = seconds(lambda: api.ingest(settings, options.data))
        again = statistics.median(seconds(lambda: api.ingest(settings, options.data)) for _ in range(options.rounds))
    print(f"\nwhole ingestion {first:.2f} s, unchanged again {again:.3f} s: {first / again:.1f} times faster")


def bare_loop(files: list[Path], threads: int) -> None:
    def decode(file: Path) -> bool:
        return cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(decode, files, chunksize=16))


def many(options: argparse.Namespace) -> None:
    """Generate once, then ingest in a fresh process, whose peak memory is all its own."""
    folder = options.out / f"generated-{options.n}"
    if not folder.exists():
        generate(folder, options.n)
    home = options.out / "home"
    shutil.rmtree(home, ignore_errors=True)
    ingest = [sys.executable, "-m", "mri_model.cli", "ingest", str(folder), "--json"]
    for what in ("first", "unchanged again"):
        before = time.monotonic()
        subprocess.run(ingest, env={"MRI_HOME": str(home), "PATH": ""}, check=True, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{options.n} images, {what}: {time.monotonic() - before:.0f} s, peak {peak:.0f} MB")
    inventory = take_inventory(folder, cache=home / "cache")
    took = seconds(lambda: compare_images(inventory.frame, inventory.fingerprints))
    print(f"issue duplicates alone: {took:.0f} s on {cores()} cores")


def generate(folder: Path, n: int) -> None:
    """``n`` images of 44 classes: phantoms, each shifted, turned, scaled and made noisy many times over."""
    with tempfile.TemporaryDirectory() as drawn:
        write_phantom(Path(drawn) / "p", per_class=30, max_side=160)
        sources = sorted(Path(drawn).glob("p/*/*"))
        pixels = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in sources]
        for source in sources:
            (folder / source.parent.name).mkdir(parents=True, exist_ok=True)

        def write(number: int) -> None:
            source = sources[number % len(sources)]
            image = vary(pixels[number % len(sources)], np.random.default_rng(number))
            cv2.imwrite(str(folder / source.parent.name / f"{number:06}.jpg"), image)

        for _ in ordered_map(write, range(n)):
            pass


def vary(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), chance.uniform(-25, 25), chance.uniform(0.8, 1.2))
    turn[:, 2] += chance.uniform(-0.15, 0.15, 2) * (width, height)
    grain = chance.normal(0, chance.uniform(2, 12), image.shape)
    return np.clip(cv2.warpAffine(image, turn, (width, height)) + grain, 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "recompressed": lambda image, chance: image,
    "half size": lambda image, chance: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda image, chance: np.clip(image * 1.2 + 15, 0, 255).astype(np.uint8),
    "less contrast": lambda image, chance: (image * 0.6 + 30).astype(np.uint8),
    "blurred": lambda image, chance: cv2.GaussianBlur(image, (0, 0), 2),
    "grainy": lambda image, chance: np.clip(image + chance.normal(0, 15, image.shape), 0, 255).astype(np.uint8),
    "moved 1 %": lambda image, chance: np.roll(image, max(1, image.shape[0] // 100), axis=0),
    "cropped 2 %": lambda image, chance: image[image.shape[0] // 50 :, image.shape[1] // 50 :],
    "cropped 8 %": lambda image, chance: image[image.shape[0] // 12 :, image.shape[1] // 12 :],
    "mirrored": lambda image, chance: np.ascontiguousarray(image[:, ::-1]),
    "upside down": lambda image, chance: np.ascontiguousarray(image[::-1]),
    "turned by 90°": lambda image, chance: np.ascontiguousarray(np.rot90(image)),
    "rotated by 3°": lambda image, chance: rotated(image, 3),
    "rotated by 10°": lambda image, chance: rotated(image, 10),
    "mirrored and cropped 2 %": lambda image, chance: np.ascontiguousarray(
        image[image.shape[0] // 50 :, image.shape[1] // 50 :][:, ::-1]
    ),
}


def rotated(image: np.ndarray, degrees: float) -> np.ndarray:
    height, width = image.shape
    return cv2.warpAffine(image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), (width, height))


def copies(options: argparse.Namespace) -> None:
    """Draw phantoms, copy each in many ways, and ask each tool which files belong together."""
    folder = options.out / "copies"
    if not folder.exists():
        draw_copies(folder)
    found = {"mri ingest": ours(folder), **ask_peers(options.peers, folder)}
    table = pd.DataFrame({tool: grade(folder, result) for tool, result in found.items()})
    print(format_table(table.reset_index(names="share of copies found with their original")))
    if options.data:
        print(f"\nthe files of {options.data.name}")
        for tool, result in {"mri ingest": ours(options.data), **ask_peers(options.peers, options.data)}.items():
            alike = sum(len(members) for members in result["sets"])
            print(f"{tool:<28}{result['seconds']:7.1f} s, {alike} files in {len(result['sets'])} sets")


def draw_copies(folder: Path) -> None:
    chance = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as drawn:
        write_phantom(Path(drawn) / "p", per_class=10)
        for source in sorted(Path(drawn).glob("p/*/*")):
            image = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE)
            place = folder / source.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place / f"{source.stem}--original{source.suffix}")
            for kind, alter in COPIES.items():
                quality = [cv2.IMWRITE_JPEG_QUALITY, 75]
                cv2.imwrite(str(place / f"{source.stem}--{kind}.jpg"), alter(image, chance), quality)


def ours(folder: Path) -> dict[str, Any]:
    started = time.monotonic()
    inventory = take_inventory(folder)
    frame = compare_images(inventory.frame, inventory.fingerprints).frame
    took = time.monotonic() - started
    sets = frame.groupby("group")["path"].apply(list)
    return {"seconds": took, "sets": [members for members in sets if len(members) > 1]}


def ask_peers(python: str, folder: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run([python, str(PEERS), str(folder)], stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def grade(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Share of each kind of copy that is in one set with its original, and the number of wrong pairs."""
    home = {path: number for number, members in enumerate(result["sets"]) for path in members}
    files = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
    originals = {picture(file): file for file in files if "--original" in file}
    rows: dict[str, Any] = {}
    for kind in COPIES:
        of_kind = [file for file in files if f"--{kind}." in file]
        together = [file in home and home[file] == home.get(originals[picture(file)]) for file in of_kind]
        rows[kind] = round(float(np.mean(together)), 3)
    rows["strangers joined (pairs of pictures)"] = strangers(result["sets"])
    rows["seconds"] = round(result["seconds"], 1)
    return rows


def picture(path: str) -> str:
    return path.rpartition("--")[0]


def strangers(sets: Iterable[list[str]]) -> int:
    kinds = [len({picture(path) for path in members}) for members in sets]
    return sum(n * (n - 1) // 2 for n in kinds)


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
