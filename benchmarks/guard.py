"""Which score tells images that are no brain MRI from real ones; and what stated risks and prediction sets are worth.

    MRI_HOME=… python benchmarks/guard.py --weights resnet18.pth [--models ID,ID] [--share 0.02] [--json]

For each trained model, thresholds come from the validation split of its own manifest and protocol; the figures are of
its test split and of foreign images (``foreign_images.py``), which pip downloads to ``--packages`` or which are drawn.
``--weights`` is a torchvision ResNet-18 state dict for the frozen ImageNet features. In ``MRI_HOME``, only the
pixel store changes.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import logsumexp, softmax

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.foreign_images import MUST_REFUSE, foreign_images
from mri_model.data.manifest import Manifest, find_manifest
from mri_model.data.pixel_store import PixelStore, pack_pixels, read_ingested
from mri_model.evaluation.abstention import OUTLIER_SHARE, prediction_set, risk_threshold, set_threshold, upper_quantile
from mri_model.evaluation.calibration import fit_temperature
from mri_model.models.artifact import Model, load_model
from mri_model.models.guard import Guard
from mri_model.models.inference import BATCH
from mri_model.models.network import Resnet18, build_network
from mri_model.report.tables import format_table
from mri_model.settings import Settings

LAYERS = ("layer2", "layer3", "layer4")
NEIGHBORS = 10
VIM_DIMENSIONS = 256
"""Dimensions of ViM's principal subspace: half of the 512, as the paper does for 2048."""

RISKS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
SPLITS = ("train", "val", "test")
Arrays = dict[str, np.ndarray]


def main() -> None:
    options = parse()
    settings = Settings()
    folders = [each.parent for each in sorted(settings.models.glob("*/model.json"))]
    chosen = [each for each in folders if not options.models or each.name in options.models.split(",")]
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        for folder in chosen:
            model = load_model(folder, torch.device("cpu"))
            found[model.id] = measure(settings, model, options, options.packages or Path(temporary))
    print(json.dumps(found, default=float) if options.json else show(found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="torchvision ResNet-18 state dict, for the ImageNet features")
    parser.add_argument("--models", help="ids of models in MRI_HOME; default: all")
    parser.add_argument("--packages", type=Path, help="folder of the downloaded packages; default: a temporary one")
    parser.add_argument("--share", type=float, default=OUTLIER_SHARE, help="share of validation images to refuse")
    parser.add_argument("--n", type=int, default=200, help="foreign images of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


@dataclass(frozen=True)
class Images:
    """Outputs of one network.

    Attributes:
        real: Split → arrays by name, float of shape (n, …): ``logits``, ``layer2``, ``layer3``, ``layer4``.
        foreign: The same arrays of all foreign images.
        fc: Weights (classes, 512) and bias (classes,) of the last layer.
    """

    real: dict[str, Arrays]
    foreign: Arrays
    fc: tuple[np.ndarray, np.ndarray]


def measure(settings: Settings, model: Model, options: argparse.Namespace, packages: Path) -> dict[str, Any]:
    manifest = find_manifest(settings.manifests, model.metadata.manifest)
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels)
    partition = model.metadata.partition(manifest)
    rows = {name: partition.rows(name) for name in SPLITS}
    targets = {name: manifest.class_indices(rows[name]["label"]) for name in SPLITS}
    foreign = foreign_images(packages, sample(manifest, options), options.n, options.seed)
    kinds = np.array([kind for kind, images in foreign.items() for _ in images])
    planes = np.stack([model.preprocessing.shrink(image) for images in foreign.values() for image in images])
    imagenet = build_network(len(model.classes), options.weights, 0).eval()
    own, frozen = (
        Images(
            {name: outputs(net, model, real_batches(pixels, rows[name].index.to_numpy())) for name in SPLITS},
            outputs(net, model, (torch.from_numpy(planes[at : at + BATCH]) for at in range(0, len(planes), BATCH))),
            (net.resnet.fc.weight.detach().numpy(), net.resnet.fc.bias.detach().numpy()),
        )
        for net in (model.network, imagenet)
    )
    scores = {**output_scores(own), **feature_scores("fine-tuned", own, targets["train"])}
    scores |= feature_scores("ImageNet", frozen, targets["train"])
    return {
        "guards": [guard_row(name, *each, kinds, options.share) for name, each in scores.items()],
        **answer_rows(own, targets),
    }


def sample(manifest: Manifest, options: argparse.Namespace) -> list[np.ndarray]:
    """Real images, to be inverted, tinted and shuffled."""
    rows = manifest.frame[manifest.frame["status"] == "ok"]
    rows = rows.sample(min(options.n, len(rows)), random_state=options.seed)
    return [read_ingested(manifest.root, row.path, row.sha256) for row in rows.itertuples()]


def real_batches(pixels: PixelStore, positions: np.ndarray) -> Iterator[torch.Tensor]:
    return (pixels.batch(positions[at : at + BATCH]) for at in range(0, len(positions), BATCH))


@torch.inference_mode()
def outputs(network: Resnet18, model: Model, batches: Iterator[torch.Tensor]) -> Arrays:
    """Logits, and the mean of each group of blocks over the image; averaged over mirror images if the model does so."""
    found: list[Arrays] = []
    for batch in batches:
        images = model.preprocessing.normalize(model.preprocessing.resample(batch))
        views = [images, images.flip(3)] if model.metadata.tta_hflip else [images]
        answers = [outputs_of_view(network, view) for view in views]
        found.append({name: np.mean([each[name] for each in answers], axis=0) for name in answers[0]})
    return {name: np.concatenate([each[name] for each in found]).astype(np.float64) for name in found[0]}


def outputs_of_view(network: Resnet18, images: torch.Tensor) -> Arrays:
    kept: Arrays = {}

    def keep(name: str) -> Any:
        return lambda _block, _inputs, maps: kept.update({name: maps.mean((2, 3)).numpy()})

    hooks = [getattr(network.resnet, name).register_forward_hook(keep(name)) for name in LAYERS]
    kept["logits"] = network(images).numpy()
    for hook in hooks:
        hook.remove()
    return kept


Scores = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of validation, test and foreign images; high: unlike the training images."""


def output_scores(images: Images) -> dict[str, Scores]:
    """Maximum softmax probability (Hendrycks and Gimpel, 2017) and energy (Liu et al., 2020)."""
    logits = [images.real["val"]["logits"], images.real["test"]["logits"], images.foreign["logits"]]
    own_vim = vim(images)
    return {
        "max. softmax probability": scores_of(-softmax(each, axis=1).max(axis=1) for each in logits),
        "energy": scores_of(-logsumexp(each, axis=1) for each in logits),
        "fine-tuned layer4, ViM": own_vim,
    }


def scores_of(values: Iterator[np.ndarray]) -> Scores:
    val, test, foreign = values
    return val, test, foreign


def vim(images: Images) -> Scores:
    """Virtual-logit matching (Wang et al., 2022): the part of the features outside their main subspace, and energy."""
    weight, bias = images.fc
    origin = -np.linalg.pinv(weight) @ bias
    train = images.real["train"]
    values, vectors = np.linalg.eigh(np.cov((train["layer4"] - origin).T, bias=True))
    rest = vectors[:, np.argsort(-values)[VIM_DIMENSIONS:]]

    def residual(arrays: Arrays) -> np.ndarray:
        return np.linalg.norm((arrays["layer4"] - origin) @ rest, axis=1)

    alpha = train["logits"].max(axis=1).mean() / residual(train).mean()
    three = (images.real["val"], images.real["test"], images.foreign)
    return scores_of(alpha * residual(each) - logsumexp(each["logits"], axis=1) for each in three)


def feature_scores(source: str, images: Images, targets: np.ndarray) -> dict[str, Scores]:
    """Mahalanobis distance (Lee et al., 2018), relative (Ren et al., 2021), nearest neighbors (Sun et al., 2022)."""
    found = {}
    for layers in (("layer4",), ("layer3",), ("layer2",), ("layer2", "layer3")):
        train, *others = (
            np.concatenate([arrays[layer] for layer in layers], axis=1)
            for arrays in (*(images.real[name] for name in SPLITS), images.foreign)
        )
        guard, single = Guard.fit(train, targets), Guard.fit(train, np.zeros_like(targets))
        name = f"{source} {'+'.join(layers)}"
        found[f"{name}, MDS"] = scores_of(guard.distances(each) for each in others)
        relative = (guard.distances(each) ** 2 - single.distances(each) ** 2 for each in others)
        found[f"{name}, relative MDS"] = scores_of(relative)
        found[f"{name}, kNN"] = scores_of(neighbor_distance(train, each) for each in others)
    return found


def neighbor_distance(train: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Squared distance to the tenth nearest training image, all features scaled to length 1."""
    known, own = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-9) for each in (train, features))
    return np.partition(2 - 2 * own @ known.T, NEIGHBORS - 1, axis=1)[:, NEIGHBORS - 1]


def guard_row(
    name: str, val: np.ndarray, test: np.ndarray, foreign: np.ndarray, kinds: np.ndarray, share: float
) -> dict[str, Any]:
    """Percent refused: of the real test images, of the worst kind that must be refused, and of each kind."""
    limit = upper_quantile(val, 1 - share)
    refused = {str(kind): 100 * float((foreign[kinds == kind] > limit).mean()) for kind in dict.fromkeys(kinds)}
    worst = min(refused[kind] for kind in MUST_REFUSE)
    return {"score": name, "real test": 100 * float((test > limit).mean()), "worst of must": worst, **refused}


def answer_rows(images: Images, targets: dict[str, np.ndarray]) -> dict[str, list[dict[str, Any]]]:
    """What stated risks and prediction sets are worth on the test split, for images that the guard lets pass."""
    real = images.real
    features = {name: np.concatenate([real[name]["layer2"], real[name]["layer3"]], axis=1) for name in SPLITS}
    guard = Guard.fit(features["train"], targets["train"])
    limit = upper_quantile(guard.distances(features["val"]), 1 - OUTLIER_SHARE)
    temperature = fit_temperature(real["val"]["logits"], targets["val"])
    passes = {name: guard.distances(features[name]) <= limit for name in ("val", "test")}
    chances = {name: softmax(real[name]["logits"][kept] / temperature, axis=1) for name, kept in passes.items()}
    truth = {name: targets[name][kept] for name, kept in passes.items()}
    threshold = set_threshold(chances["val"], truth["val"])
    sets = [prediction_set(each, threshold) for each in chances["test"]]
    sizes = np.array([len(each) for each in sets])
    covered = np.array([true in each for true, each in zip(truth["test"], sets, strict=True)])
    answers = {name: (each.max(axis=1), each.argmax(axis=1) == truth[name]) for name, each in chances.items()}
    summary = {"probability from": threshold, "coverage": covered.mean(), "mean size": sizes.mean()}
    return {
        "sets": [{**summary, "median size": np.median(sizes), "largest": sizes.max(), "n": len(sizes)}],
        "risks": [risk_row(risk, answers["val"], answers["test"]) for risk in RISKS],
    }


def risk_row(risk: float, val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    threshold = risk_threshold(*val, risk)
    if threshold is None:
        return {"risk": risk, "probability from": None, "test answered": None, "test risk": None}
    kept = test[0] >= threshold
    wrong = float((~test[1][kept]).mean()) if kept.any() else None
    return {"risk": risk, "probability from": threshold, "test answered": float(kept.mean()), "test risk": wrong}


def show(found: dict[str, Any]) -> str:
    parts = []
    for model, tables in found.items():
        parts += [f"{model}: {name}\n{format_table(pd.DataFrame(rows))}" for name, rows in tables.items()]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
