"""The modern recipe with one ingredient changed at a time, validated on validation alone, on several seeds.

    MRI_HOME=… python benchmarks/ablation.py --weights resnet18.pth [--only modern,sgd] [--protocol grouped]
    … --size 96 --epochs 12 --folds 5 --fold 1 --split test

Trains what is not trained yet: each training is a model folder below ``MRI_HOME``, so an interrupted run continues
and prints, per variant, mean and standard deviation over the seeds. Needs an ingested manifest (``mri ingest DATA``).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mri_model import steps
from mri_model.data.manifest import find_manifest
from mri_model.evaluation.metrics import OverallMetrics
from mri_model.models.metadata import read_metadata
from mri_model.progress import show_progress
from mri_model.settings import Settings
from mri_model.training.recipe import AUGMENTATION, MODERN, Recipe, make_recipe

UNCHANGED: dict[str, Any] = {name: getattr(Recipe(), name) for name in AUGMENTATION} | {"crop_to_head": False}
"""Neither augmentation nor crop to the head."""
GEOMETRY = ("hflip", "crop_area", "crop_aspect", "rotation", "store_scale")
INTENSITY = ("intensity_gain", "intensity_offset")
SGD = {"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 5e-4}
VARIANTS: dict[str, dict[str, Any]] = {
    "modern": {},
    "no augmentation": UNCHANGED,
    "crops": {name: UNCHANGED[name] for name in (*INTENSITY, "crop_to_head")},
    "crops + intensity": {"crop_to_head": False},
    "crops + head": {name: UNCHANGED[name] for name in INTENSITY},
    "crops at the network's size": {"store_scale": 1.0},
    "head only": UNCHANGED | {"crop_to_head": True},
    "mirror images only": UNCHANGED | {"hflip": True},
    "rate 1e-4": {"learning_rate": 1e-4},
    "rate 2e-4": {"learning_rate": 2e-4},
    "rate 1e-3": {"learning_rate": 1e-3},
    "sgd": SGD,
    "no decay": {"weight_decay": 0.0},
    "no smoothing": {"label_smoothing": 0.0},
    "no mirror images": {"hflip": False},
    "no test-time mirror image": {"tta_hflip": False},
    "auxiliary loss 0.3": {"aux_loss_weight": 0.3},
    "constant rate": {"schedule": "constant", "learning_rate": MODERN["learning_rate"] / 5},
    "half the epochs": {"epochs": MODERN["epochs"] // 2},
    "twice the epochs": {"epochs": MODERN["epochs"] * 2},
    "96 px": {"image_size": 96},
    "128 px": {"image_size": 128},
    "224 px": {"image_size": 224},
    "report": {"name": "report"},
}
FIGURES = ("accuracy", "macro_f1", "tumor_accuracy", "contrast_accuracy", "risk_coverage_area")


def main() -> None:
    options = read_options()
    settings = Settings()
    manifest = find_manifest(settings.manifests, options.manifest)
    table = []
    for name in options.only:
        figures, seconds = [], 0.0
        for seed in options.seeds:
            changes = dict(VARIANTS[name])
            recipe = changes.pop("name", "modern")
            if recipe == "modern":
                changes = {"image_size": options.size, "epochs": options.epochs} | changes
            changes |= {"weights": options.weights, "protocol": options.protocol, "seed": seed}
            changes |= {"folds": options.folds, "fold": options.fold}
            print(f"{name}, seed {seed}", file=sys.stderr)
            chosen = make_recipe(recipe, **changes)
            with show_progress(options.json) as progress:
                folder = steps.train_network(settings, chosen, manifest, options.device, progress, say)
                evaluation = steps.evaluate_model(settings, folder, manifest, options.split, options.device, progress)
            figures.append(evaluation.overall)
            seconds += read_metadata(folder).seconds
        table.append(row(name, figures, seconds / len(options.seeds)))
    print(json.dumps(table) if options.json else show(table))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="imagenet", help="imagenet, none, or a state dict's path")
    parser.add_argument("--manifest", default="latest")
    parser.add_argument("--protocol", default="grouped", choices=("random", "grouped"))
    parser.add_argument("--folds", type=int, default=0, help="grouped cross-validation; 0 for the protocol's own split")
    parser.add_argument("--fold", type=int, default=0, help="the fold to train, from 1")
    parser.add_argument("--split", default="val", choices=("val", "test"), help="choose on val; test once, at the end")
    parser.add_argument("--size", type=int, default=None, help="pixels of all variants that do not say otherwise")
    parser.add_argument("--epochs", type=int, default=None, help="epochs of all variants that do not say otherwise")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1])
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(VARIANTS), help="variants by name")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - VARIANTS.keys())
    if unknown:
        parser.error(f"there is no variant {', '.join(unknown)}; there is {', '.join(VARIANTS)}")
    if options.weights not in ("imagenet", "none"):
        options.weights = str(Path(options.weights).resolve())
    return options


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def row(name: str, figures: list[OverallMetrics], seconds: float) -> dict[str, Any]:
    columns = {key: np.array([getattr(figure, key) for figure in figures], float) for key in FIGURES}
    means = {key: round(float(values.mean()), 4) for key, values in columns.items()}
    spread = {f"{key}_sd": round(float(values.std(ddof=1)), 4) for key, values in columns.items() if len(values) > 1}
    return {"variant": name, "seeds": len(figures), **means, **spread, "seconds": round(seconds)}


def show(table: list[dict[str, Any]]) -> str:
    lines = [
        "| Variant | Seeds | Accuracy | Macro-F1 | Tumor alone | Contrast alone | Risk-coverage area | Seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for line in table:
        cells = [f"{line[key]:.3f}" + (f" ± {line[key + '_sd']:.3f}" if key + "_sd" in line else "") for key in FIGURES]
        lines.append(f"| {line['variant']} | {line['seeds']} | {' | '.join(cells)} | {line['seconds']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
