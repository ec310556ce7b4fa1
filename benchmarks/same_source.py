"""Same-source linking: agreement curves, groups, known patients, and its cost.

    python benchmarks/same_source.py groups DATA
    python benchmarks/same_source.py patients DATA PATIENTS.csv
    python benchmarks/same_source.py scale --n 100000

``groups`` prints both agreement curves and their thresholds, and the accuracy of a 1-nearest neighbor in grouped
cross-validation under the earlier grouping (pixels from 0.95 only) and under today's. ``patients`` needs a CSV with the
columns ``path`` (relative to DATA) and ``patient``. With ``--json``, stdout carries one JSON object.
"""

import argparse
import json
import resource
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import StratifiedGroupKFold

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mri_model.data.agreement import EDGES, PIXELS
from mri_model.data.comparison import Comparison, compare_images
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.hog import HOG_LENGTH
from mri_model.data.inventory import Inventory, take_inventory
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION
from mri_model.data.same_source import connected, group_numbers
from mri_model.data.similarity import HogVectors, PixelVectors, similar_pairs
from mri_model.report.tables import format_table

FOLDS, SEEDS = 5, 3


def main() -> None:
    options = parse()
    found = options.run(options)
    print(json.dumps(found, default=float) if options.json else show(found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("groups", help="agreement curves, groups and 1-NN under the old and the new grouping")
    command.add_argument("data", type=Path)
    command.set_defaults(run=groups)
    command = commands.add_parser("patients", help="adjusted Rand index against known patients")
    command.add_argument("data", type=Path)
    command.add_argument("patients", type=Path)
    command.set_defaults(run=patients)
    command = commands.add_parser("scale", help="time and memory of the comparison of drawn fingerprints")
    command.add_argument("--n", type=int, default=100_000)
    command.set_defaults(run=scale)
    return parser.parse_args()


def groups(options: argparse.Namespace) -> dict[str, Any]:
    inventory = take_inventory(options.data)
    started = time.monotonic()
    compared = compare_images(inventory.frame, inventory.fingerprints)
    seconds = time.monotonic() - started
    ok = np.flatnonzero(compared.frame["status"] == "ok")
    labels = pd.factorize(compared.frame["label"].iloc[ok])[0]
    groupings = {"earlier": earlier_groups(inventory, ok), "today": compared.frame["group"].iloc[ok].to_numpy(int)}
    print_rows = [
        {"grouping": name, **sizes(numbers, labels), **neighbor_accuracies(inventory.fingerprints[ok], labels, numbers)}
        for name, numbers in groupings.items()
    ]
    return {"comparison_seconds": round(seconds, 2), **curves(compared), "groupings": print_rows}


def curves(compared: Comparison) -> dict[str, Any]:
    found = {}
    for agreement in compared.agreements:
        rows = [
            asdict(each) | {"excess": agreement.excess(number)}
            for number, each in enumerate(agreement.bins)
            if each.pairs
        ]
        found[f"agreement of {agreement.similarity}"] = rows[::-1]
        found[f"threshold of {agreement.similarity}"] = agreement.threshold
    return found


def earlier_groups(inventory: Inventory, ok: np.ndarray) -> np.ndarray:
    """Groups by near duplicates, identical files and series alone."""
    rows = inventory.frame.iloc[ok].reset_index(drop=True)
    vectors = PixelVectors.of(inventory.fingerprints.thumbnails[ok].reshape(len(ok), -1))
    tumor = rows["tumor"].to_numpy()
    links = [np.empty((0, 2), np.intp)]
    for first, second, _ in similar_pairs(vectors, NEAR_DUPLICATE_CORRELATION):
        same = tumor[first] == tumor[second]
        links.append(np.column_stack([first[same], second[same]]))
    return group_numbers(rows, [connected(np.concatenate(links), len(rows))])


def sizes(numbers: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    per_class = pd.Series(numbers).groupby(labels).nunique()
    counts = np.bincount(numbers)
    return {"groups": int((counts > 0).sum()), "largest": int(counts.max()), "fewest in a class": int(per_class.min())}


def neighbor_accuracies(fingerprints: Fingerprints, labels: np.ndarray, numbers: np.ndarray) -> dict[str, float]:
    pixels = PixelVectors.of(fingerprints.thumbnails.reshape(len(fingerprints), -1))
    unit = {PIXELS.name: normalized(pixels.levels(slice(None))), EDGES.name: HogVectors.of(fingerprints.descriptors)}
    unit[EDGES.name] = unit[EDGES.name].bounds(slice(None))
    return {f"1-NN, {name}": neighbor_accuracy(vectors, labels, numbers) for name, vectors in unit.items()}


def normalized(levels: np.ndarray) -> np.ndarray:
    centred = levels - levels.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def neighbor_accuracy(vectors: np.ndarray, labels: np.ndarray, numbers: np.ndarray) -> float:
    """Pooled accuracy of the nearest neighbor in grouped cross-validation, mean of some seeds."""
    hits = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes with fewer images than folds
        for seed in range(SEEDS):
            splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
            for known, tested in splitter.split(vectors, labels, numbers):
                nearest = (vectors[tested] @ vectors[known].T).argmax(axis=1)
                hits += int((labels[known][nearest] == labels[tested]).sum())
    return round(hits / (SEEDS * len(labels)), 3)


def patients(options: argparse.Namespace) -> dict[str, Any]:
    inventory = take_inventory(options.data)
    compared = compare_images(inventory.frame, inventory.fingerprints)
    ok = compared.frame[compared.frame["status"] == "ok"]
    truth = pd.read_csv(options.patients).set_index("path")["patient"].reindex(ok["path"])
    return {
        "patients": int(truth.nunique()),
        "groups": int(ok["group"].nunique()),
        "adjusted Rand index": round(float(adjusted_rand_score(truth, ok["group"].to_numpy(int))), 4),
        **{f"threshold of {each.similarity}": each.threshold for each in compared.agreements},
    }


def scale(options: argparse.Namespace) -> dict[str, Any]:
    """Drawn fingerprints: sources of ten similar images each, in 44 classes of 15 tumor types."""
    chance = np.random.default_rng(0)
    source = np.arange(options.n) // 10
    fingerprints = Fingerprints(
        drawn(chance, source, 64 * 64, 127).reshape(-1, 64, 64), drawn(chance, source, HOG_LENGTH, 40)
    )
    tumor = pd.Series(source % 15).astype(str)
    names = pd.Series(np.arange(options.n)).astype(str)
    frame = pd.DataFrame(
        {"path": names, "sha256": names, "label": tumor + " T1", "tumor": tumor, "status": "ok"}
    ).assign(patient=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.monotonic()
    compared = compare_images(frame, fingerprints, told)
    return {
        "images": options.n,
        "seconds": round(time.monotonic() - started, 1),
        "peak memory, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "memory before, MB": round(before),
        "groups": int(compared.frame["group"].nunique()),
    }


def drawn(chance: np.random.Generator, source: np.ndarray, length: int, middle: int) -> np.ndarray:
    """uint8 (n, length): the vector of each image's source, coarse as a picture's low frequencies, and some noise."""
    coarse = chance.normal(size=(source.max() + 1, length // 16)).astype(np.float32)
    found = np.empty((len(source), length), np.uint8)
    for start in range(0, len(source), 4096):
        part = slice(start, start + 4096)
        values = np.repeat(coarse[source[part]], 16, axis=1)
        values += chance.normal(scale=0.3, size=values.shape).astype(np.float32)
        found[part] = (middle * (1 + values / 3)).clip(0, 2 * middle)
    return found


def told(stage: str, done: int, total: int) -> None:
    if done % 500 == 0:
        print(f"{stage} {done}/{total}", file=sys.stderr)


def show(found: dict[str, Any]) -> str:
    tables = [f"{name}\n{format_table(pd.DataFrame(rows))}" for name, rows in found.items() if isinstance(rows, list)]
    facts = [f"{name}: {value}" for name, value in found.items() if not isinstance(value, list)]
    return "\n\n".join(["\n".join(facts), *tables])


if __name__ == "__main__":
    main()
