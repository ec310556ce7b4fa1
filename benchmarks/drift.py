"""How often the drift test of scoring raises a false alarm, and what it finds.

    MRI_HOME=… python benchmarks/drift.py [--models ID,ID] [--runs 1000] [--foreign FOLDER [--patients CSV]] [--json]

For each trained model: its validation and test images are split at random, source by source, into a reference and a
run, so often as ``--runs`` says; each such run that is called drift is a false alarm. Then runs of about ``--n`` test
images, drawn source by source, are changed in one way and compared with the real validation images. ``--foreign`` is a
folder of other images. "tested": the draws with enough sources. Nothing in ``MRI_HOME`` changes.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mri_model.data.decode import read_image
from mri_model.data.manifest import find_manifest
from mri_model.data.same_source import sources_of
from mri_model.evaluation.drift import MIN_IMAGES, MIN_SOURCES, Sample
from mri_model.models.artifact import Model, load_model
from mri_model.models.inference import BATCH
from mri_model.models.reference import Reference
from mri_model.report.tables import format_table
from mri_model.scoring.drift import DriftTest, pack, unpack
from mri_model.settings import Settings

Pixels = np.ndarray
Change = Callable[[Pixels], Pixels]


def resized(pixels: Pixels, share: float) -> Pixels:
    small = cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)


CHANGES: dict[str, Change] = {
    "as they are": lambda pixels: pixels,
    "30 % brighter": lambda pixels: cv2.convertScaleAbs(pixels, alpha=1.3),
    "gamma 0.7": lambda pixels: (255 * (pixels / 255) ** 0.7).astype(np.uint8),
    "blurred, sigma 2": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 2),
    "a quarter of the resolution": lambda pixels: resized(pixels, 0.25),
    "noise, sigma 20": lambda pixels: cv2.add(pixels, np.abs(NOISE.normal(0, 20, pixels.shape)).astype(np.uint8)),
    "inverted": lambda pixels: 255 - pixels,
}
NOISE = np.random.default_rng(0)


def main() -> None:
    options = parse()
    settings = Settings()
    folders = [each.parent for each in sorted(settings.models.glob("*/model.json"))]
    chosen = [each for each in folders if not options.models or each.name in options.models.split(",")]
    found = {folder.name: measure(settings, folder, options) for folder in chosen}
    print(json.dumps(found, default=float) if options.json else show(found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="ids of models in MRI_HOME; default: all")
    parser.add_argument("--runs", type=int, default=1000, help="runs without drift")
    parser.add_argument("--draws", type=int, default=50, help="runs of each kind of drift")
    parser.add_argument("--n", type=int, default=300, help="about so many images in a run with drift")
    parser.add_argument("--foreign", type=Path, help="a folder of other images")
    parser.add_argument("--patients", type=Path, help="a CSV with the columns path and patient of --foreign")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


@dataclass(frozen=True)
class Answers:
    """n images: the values of the model's ``Reference``, without the truth."""

    source: np.ndarray
    answer: np.ndarray
    numbers: dict[str, np.ndarray]

    def __getitem__(self, rows: np.ndarray) -> "Answers":
        return Answers(self.source[rows], self.answer[rows], {name: each[rows] for name, each in self.numbers.items()})

    def sample(self, test: DriftTest) -> Sample:
        return test.described(self.source, self.answer, self.numbers)


def measure(settings: Settings, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    model = load_model(folder, torch.device("cpu"))
    reference = model.reference
    assert reference, f"{model.id} has no guard"
    manifest = find_manifest(settings.manifests, model.metadata.manifest)
    partition = model.metadata.partition(manifest)
    rows = {name: list(partition.rows(name).itertuples()) for name in ("val", "test", "train")}
    files = {name: [manifest.root / row.path for row in chosen] for name, chosen in rows.items()}
    test = answers(model, reference, images(files["test"]))
    both = answers(model, reference, images(files["val"] + files["test"]))
    alarms = false_alarms(model, reference, both, options.runs)
    result: dict[str, Any] = {"runs without drift": options.runs, "called drift": alarms}
    drifted = DriftTest(model, reference)
    kinds: dict[str, Answers] = {}
    for name, change in CHANGES.items():
        kinds[name] = answers(model, reference, images(files["test"], change), test.source)
    kinds["training images"] = answers(model, reference, images(files["train"]))
    labels = np.array([model.labels[each].contrast for each in test.answer])
    kinds["one contrast: T2"] = test[labels == "T2"]
    if options.foreign:
        foreign = sorted(options.foreign.rglob("*.*"))
        kinds["another data set"] = answers(model, reference, images(foreign))
    if options.patients:
        table = pd.read_csv(options.patients).set_index("path")["patient"]
        patients = table.loc[[each.relative_to(options.foreign).as_posix() for each in foreign]].to_numpy()
        result["sources of drawn patients"] = sources_of_patients(reference, foreign, patients)
    return result | {"found": [found_in(name, drifted, each, options) for name, each in kinds.items()]}


def images(files: list[Path], change: Change = CHANGES["as they are"]) -> Iterator[Pixels]:
    for file in files:
        pixels = read_image(file).pixels
        if pixels is not None:
            yield change(np.ascontiguousarray(pixels))


def answers(model: Model, reference: Reference, pixels: Iterator[Pixels], sources: np.ndarray | None = None) -> Answers:
    """What the model says about images; ``sources`` are those of the unchanged images, if these are changed."""
    planes, packed = zip(*((model.preprocessing.shrink(each), pack(each)) for each in pixels), strict=True)
    found = [model.answers(torch.from_numpy(np.stack(planes[at : at + BATCH]))) for at in range(0, len(planes), BATCH)]
    probabilities = torch.cat([each for each, _ in found]).numpy()
    looks = unpack(packed)
    numbers = {"probability": probabilities.max(axis=1), "distance": np.concatenate([each for _, each in found])}
    if sources is None:
        sources = sources_of(looks.descriptors, reference.mean, reference.threshold.item())
    numbers |= {"brightness": looks.brightness, "variation": looks.variation}
    return Answers(sources, probabilities.argmax(axis=1), numbers)


def sources_of_patients(reference: Reference, files: list[Path], patients: np.ndarray) -> dict[int, list[int]]:
    """Number of patients drawn at random → number of sources that are found among their images, draw by draw."""
    generator = np.random.default_rng(0)
    descriptors = unpack([pack(each) for each in images(files)]).descriptors
    known, found = np.unique(patients), {}
    for n in (1, 2, 5, 20, len(known)):
        draws = [
            np.isin(patients, generator.choice(known, n, replace=False)) for _ in range(8 if n < len(known) else 1)
        ]
        sources = [sources_of(descriptors[each], reference.mean, reference.threshold.item()) for each in draws]
        found[n] = [len(np.unique(each)) for each in sources]
    return found


def false_alarms(model: Model, reference: Reference, both: Answers, runs: int) -> int:
    """Number of random splits, source by source, that are called drift."""
    generator, alarms = np.random.default_rng(0), 0
    numbers = np.unique(both.source)
    for done in range(runs):
        order = generator.permutation(numbers)
        share = int(generator.integers(MIN_SOURCES, len(order) // 2 + 1))
        is_run, is_known = (np.isin(both.source, each) for each in (order[:share], order[len(order) // 2 :]))
        known = both[is_known]
        test = DriftTest(model, replace(reference, source=known.source, answer=known.answer, **known.numbers))
        if is_run.sum() >= MIN_IMAGES:
            alarms += test.check(both[is_run].sample(test), []).state == "yes"
        if done % 100 == 99:
            print(f"{done + 1} runs, {alarms} alarms", file=sys.stderr)
    return alarms


def found_in(name: str, test: DriftTest, pool: Answers, options: argparse.Namespace) -> dict[str, Any]:
    """How many runs drawn from a pool, source by source, are called drift, and by which statistics."""
    generator, tested, found, reasons = np.random.default_rng(0), 0, 0, []
    for _ in range(options.draws):
        order = generator.permutation(np.unique(pool.source))
        sizes = np.bincount(pool.source)[order].cumsum()
        drift = test.check(pool[np.isin(pool.source, order[: np.searchsorted(sizes, options.n) + 1])].sample(test), [])
        tested += drift.state != "waiting"
        found += drift.state == "yes"
        reasons += [each.statistic for each in drift.differing]
    counts = pd.Series(reasons, dtype=object).value_counts()
    shown = ", ".join(f"{statistic} {n}" for statistic, n in counts.items())
    return {"runs": name, "tested": tested, "called drift": found, "by": shown}


def show(found: dict[str, Any]) -> str:
    parts = []
    for model, result in found.items():
        parts.append(f"{model}: {result['called drift']} of {result['runs without drift']} runs without drift")
        for n, sources in result.get("sources of drawn patients", {}).items():
            parts.append(f"{n} patients: {', '.join(map(str, sources))} sources")
        parts.append(format_table(pd.DataFrame(result["found"])))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
