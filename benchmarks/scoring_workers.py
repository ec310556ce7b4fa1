"""Two workers that share a scoring run against one worker; each has one core and one thread.

    python benchmarks/scoring_workers.py [--n 1024] [--size 224] [--rounds 3] [--json]

The folder holds hard links to phantom images. The workers are processes that have loaded what they need; the time is
that from their common start until the last one returns, so it includes loading the model and writing the scores. Run it
on a machine that does nothing else, with at least two cores. On a busy machine the seconds say little; the CPU seconds
of all workers together then show whether sharing costs work: ``cpu_ratio`` is what two free cores could reach.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"  # read when PyTorch is imported, here and in the workers

import pandas as pd

from mri_model import api
from mri_model.data.phantom import write_phantom
from mri_model.report.tables import format_table
from mri_model.settings import Settings
from mri_model.training.recipe import Recipe

RECIPE = Recipe(batch_size=32, epochs=1, weights="none")
TARGET = 1.7


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(Path(temporary), options.n, options.size, options.rounds)
    print(json.dumps(found) if options.json else show(found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1024, help="files in the folder")
    parser.add_argument("--size", type=int, default=224, help="image size of the network, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measure(place: Path, n_files: int, size: int, rounds: int) -> dict[str, Any]:
    """Seconds of one and of two workers, measured in turn, and the ratio of their medians."""
    data, folder, home = place / "phantom", place / "folder", Settings(home=place / "home", database_url="")
    write_phantom(data, per_class=4, seed=0, max_side=256)
    link(sorted(data.rglob("*.jpeg")), folder, n_files)
    api.ingest(home, data)
    api.train(home, replace(RECIPE, image_size=size))
    seconds: dict[int, list[float]] = {1: [], 2: []}
    cpu: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for n_workers, times in seconds.items():
            own = shutil.copytree(home.root, place / f"home-{number}-{n_workers}")
            took, used = score_together(own, folder, n_workers, n_files)
            times.append(took)
            cpu[n_workers].append(used)
    one, two = (statistics.median(times) for times in seconds.values())
    cpu_ratio = 2 * statistics.median(cpu[1]) / statistics.median(cpu[2])
    facts = {"n_files": n_files, "image_size": size, "load": os.getloadavg()[0], "target": TARGET}
    return {**facts, "one_worker": seconds[1], "two_workers": seconds[2], "ratio": one / two, "cpu_ratio": cpu_ratio}


def link(images: list[Path], folder: Path, n_files: int) -> None:
    folder.mkdir()
    for number in range(n_files):
        os.link(images[number % len(images)], folder / f"{number:06}.jpeg")


def score_together(home: Path, folder: Path, n_workers: int, n_files: int) -> tuple[float, float]:
    """Seconds of a scoring run that so many workers share, and the CPU seconds of all of them."""
    context = multiprocessing.get_context("spawn")
    start, used = context.Barrier(n_workers + 1), context.SimpleQueue()
    cores = sorted(os.sched_getaffinity(0))[:n_workers]
    workers = [context.Process(target=work, args=(home, folder, core, start, used)) for core in cores]
    for worker in workers:
        worker.start()
    start.wait()
    started = time.monotonic()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - started
    assert all(worker.exitcode == 0 for worker in workers)
    (run,) = api.query(Settings(home=home, database_url=""), "scored-runs").to_dict("records")
    assert (run["status"], run["n_scored"] + run["n_abstained"]) == ("finished", n_files)
    return seconds, sum(used.get() for _ in workers)


def work(home: Path, folder: Path, core: int, start: Barrier, used: "SimpleQueue[float]") -> None:
    """Score in a process on one core."""
    import_module("mri_model.scoring.run")  # so that the time is not that of imports
    os.sched_setaffinity(0, {core})
    start.wait()
    before = time.process_time()
    api.score(Settings(home=home, database_url=""), folder, "best", "cpu")
    used.put(time.process_time() - before)


def show(found: dict[str, Any]) -> str:
    rows = []
    for name in ("one_worker", "two_workers"):
        median = statistics.median(found[name])
        each = " ".join(f"{seconds:.1f}" for seconds in found[name])
        rows.append((name.replace("_", " "), median, found["n_files"] / median, each))
    table = format_table(pd.DataFrame(rows, columns=["", "median, s", "images/s", "each, s"]))
    ratios = f"ratio {found['ratio']:.2f} (target {TARGET}), by CPU seconds {found['cpu_ratio']:.2f}"
    return f"{table}\n\n{ratios}; load of the machine {found['load']:.1f}"


if __name__ == "__main__":
    main()
