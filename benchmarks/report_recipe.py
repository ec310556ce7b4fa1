"""The report's recipe at several image sizes, by the library alone: no Prefect, no database, no network.

    python benchmarks/report_recipe.py DATA --weights resnet18.pth --sizes 100,256,630 --out OUT

For machines that have PyTorch and little else, a lent GPU for one. Prints Table 3 and the best size's test figures, and
writes both to ``results.json`` in OUT, beside manifest, models and histories. Run it again to resume.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.data.pixel_store import pack_pixels
from mri_model.evaluation.evaluate import evaluate_model
from mri_model.evaluation.metrics import OverallMetrics
from mri_model.evaluation.selection import select_images
from mri_model.files import write_json
from mri_model.models.artifact import load_model
from mri_model.models.metadata import EpochMetrics, ModelMetadata, read_metadata
from mri_model.models.network import choose_device
from mri_model.progress import show_progress
from mri_model.report.tables import format_table
from mri_model.report.text import describe_epoch
from mri_model.training.recipe import Recipe
from mri_model.training.trainer import TrainingJob, train


def main() -> None:
    options = parse()
    device = choose_device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    with show_progress() as progress:
        manifest = write_manifest(
            take_inventory(options.data, options.profile, progress=progress), options.out / "manifests"
        )
    folders = [train_at(int(size), manifest, options, device) for size in options.sizes.split(",")]
    trained = [read_metadata(folder) for folder in folders]
    rows = [table_3_row(metadata) for metadata in trained]
    print(f"{name}; {options.protocol} split; {options.epochs} epochs; seed {options.seed}")
    print(format_table(pd.DataFrame(rows)))
    best = max(folders, key=lambda folder: read_metadata(folder).metrics.val_f1)
    overall = evaluate(best, manifest, options.out, device)
    print(f"\n{best.name} on the test split")
    print(format_table(pd.DataFrame(vars(overall).items(), columns=["measure", "value"])))
    facts = {"device": name, "protocol": options.protocol, "epochs": options.epochs, "seed": options.seed}
    write_json(options.out / "results.json", {**facts, "sizes": rows, "best": best.name, "test": vars(overall)})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--sizes", default="100,256,630")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--protocol", default="random")
    parser.add_argument("--profile", default="brain-tumor-44c")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def train_at(size: int, manifest: Manifest, options: argparse.Namespace, device: torch.device) -> Path:
    recipe = Recipe(
        image_size=size,
        epochs=options.epochs,
        weights=options.weights,
        protocol=options.protocol,
        seed=options.seed,
    )
    with show_progress() as progress:
        pixels = pack_pixels(manifest, recipe.preprocessing, options.out / "pixels", progress)

    def on_epoch(row: EpochMetrics) -> None:
        print(f"{size} px, {describe_epoch(row)}", file=sys.stderr, flush=True)

    return train(TrainingJob(manifest, recipe, options.out / "models", device, on_epoch=on_epoch), pixels)


def table_3_row(metadata: ModelMetadata) -> dict:
    metrics = metadata.metrics
    return {
        "size": metadata.preprocessing.size,
        "batch": metadata.recipe["batch_size"],
        "train acc": metrics.train_accuracy,
        "val acc": metrics.val_accuracy,
        "val P": metrics.val_precision,
        "val R": metrics.val_recall,
        "val F1": metrics.val_f1,
        "best epoch": metrics.epoch,
        "seconds": metadata.seconds,
    }


def evaluate(folder: Path, manifest: Manifest, out: Path, device: torch.device) -> OverallMetrics:
    model = load_model(folder, device)
    pixels = pack_pixels(manifest, model.preprocessing, out / "pixels")
    return evaluate_model(model, select_images(model, manifest), pixels).overall


if __name__ == "__main__":
    main()
