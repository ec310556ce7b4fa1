"""Whether the engines of scoring agree: labels and probabilities of every accepted image, against PyTorch in fp32.

    MRI_HOME=… python benchmarks/engines.py [--models ID,ID] [--precisions fp32,bf16] [--json]

For each trained model, on all accepted images of its manifest. In ``MRI_HOME``, only the pixel store changes.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mri_model.data.manifest import find_manifest
from mri_model.data.pixel_store import pack_pixels
from mri_model.models.artifact import Model, load_model
from mri_model.models.engine import openvino_engine, pytorch_engine
from mri_model.models.inference import BATCH
from mri_model.report.tables import format_table
from mri_model.settings import Settings


def main() -> None:
    options = parse()
    settings = Settings()
    folders = [each.parent for each in sorted(settings.models.glob("*/model.json"))]
    chosen = [each for each in folders if not options.models or each.name in options.models.split(",")]
    rows = [row for folder in chosen for row in compare(settings, folder, options.precisions.split(","))]
    print(json.dumps(rows) if options.json else format_table(pd.DataFrame(rows)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="ids of models in MRI_HOME; default: all")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def compare(settings: Settings, folder: Path, precisions: list[str]) -> list[dict[str, Any]]:
    """One row for each engine and precision."""
    model = load_model(folder, torch.device("cpu"))
    manifest = find_manifest(settings.manifests, model.metadata.manifest)
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels)
    positions = np.flatnonzero(manifest.frame["status"] == "ok")
    batches = [pixels.batch(positions[at : at + BATCH]) for at in range(0, len(positions), BATCH)]
    known = answers(model, batches)
    rows = []
    for precision in precisions:
        for engine in (pytorch_engine(model, precision), openvino_engine(model, precision)):
            if engine is None or engine.name == pytorch_engine(model, "fp32").name:
                continue
            print(f"{model.id}: {engine.name}", file=sys.stderr)
            found = answers(replace(model, engine=engine), batches)
            rows.append({"model": model.id, "engine": engine.name} | difference(found, known))
    return rows


def answers(model: Model, batches: list[torch.Tensor]) -> np.ndarray:
    """Probabilities, float32 of shape (n, classes)."""
    return torch.cat([model.probabilities(each) for each in batches]).numpy()


def difference(found: np.ndarray, known: np.ndarray) -> dict[str, float]:
    return {
        "images": len(known),
        "other labels": int((found.argmax(axis=1) != known.argmax(axis=1)).sum()),
        "largest difference": float(np.abs(found - known).max()),
        "mean of each image's largest": float(np.abs(found - known).max(axis=1).mean()),
    }


if __name__ == "__main__":
    main()
