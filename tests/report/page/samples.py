"""Reports of a model that was never trained: real metrics of drawn answers."""

from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from mri_model.data.labels import parse_label
from mri_model.data.preprocessing import Preprocessing
from mri_model.evaluation.metrics import NEAR_DUPLICATE, SIMILAR, UNLIKE, Predictions, evaluate_predictions
from mri_model.models.metadata import EpochMetrics, ModelMetadata
from mri_model.report.page.contents import EvaluationReport, ModelReport, SweepReport
from mri_model.report.published import published_results

CLASSES = tuple(sorted(row[0] for row in published_results().table_5))
PLAIN_CLASSES = ("glioma", "meningioma", "no tumor")
START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(number, 0.01, 2.5 / number, number / 20, 3 / number, number / 30, 0.3, 0.3, number / 40, 1.5)


def metadata(classes: tuple[str, ...], **changes: Any) -> ModelMetadata:
    recipe: dict[str, Any] = {"fold": 0, "folds": 0, "weights": "none", "image_size": 64, "seed": 0}
    model = ModelMetadata(
        id="resnet18-64px-random-0123456789",
        network="resnet18",
        classes=classes,
        preprocessing=Preprocessing(64),
        temperature=0.8,
        tta_hflip=True,
        protocol="random",
        recipe=recipe,
        manifest="d1",
        profile="auto",
        data_digest="dd1",
        metrics=epoch(3),
        epochs=4,
        seconds=61.5,
        device="cpu",
        created_at=START.isoformat(),
        sha256="w" * 64,
        versions={"python": "3.11.7", "torch": "2.15.0"},
        git_commit="c" * 40,
        intended_use="Research.",
    )
    return replace(model, **changes)


def predictions(n_classes: int, per_class: int, skill: float, seed: int) -> Predictions:
    """Answers that are right about as often as ``skill`` says; groups of two images."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(n_classes), per_class)
    n = len(targets)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), targets] += 6 * skill
    resemblance = rng.choice([NEAR_DUPLICATE, SIMILAR, UNLIKE], n)
    images = pd.DataFrame(
        {
            "path": [f"class {target}/image {row}.png" for row, target in enumerate(targets)],
            "sha256": [f"{row:064d}" for row in range(n)],
            "group": np.arange(n) // 2,
            "duplicate_free": resemblance == UNLIKE,
            "resemblance": resemblance,
        }
    )
    for name in ("pixels", "edges"):
        images[name] = rng.uniform(0.4, 1, n).astype(np.float32)
        images[f"{name}_label"] = rng.integers(0, n_classes, n)
        images[f"{name}_other"] = np.float32(0.5)
    return Predictions.of_logits(logits.astype(np.float32), 0.8, targets, images)


def model_report(
    classes: tuple[str, ...] = CLASSES, per_class: int = 6, skill: float = 0.5, seed: int = 0, **changes: Any
) -> ModelReport:
    """A report as ``steps.gather_report`` makes it, without quality report and pictures."""
    labels = tuple(map(parse_label, classes))
    found = evaluate_predictions(predictions(len(classes), per_class, skill, seed), labels)
    rows = [(label.name, label.tumor, label.contrast, 20) for label in labels]
    model = metadata(classes)
    sizes = {"image_size": 64, "batch_size": 32, "train_accuracy": 0.9, "val_accuracy": 0.6}
    sizes |= {"val_precision": 0.5, "val_recall": 0.4, "val_f1": 0.45}
    row = {"id": "e1", "model_id": model.id, "sweep_id": None, "dataset_digest": "d1", "split": "test", "n_seen": 0}
    report = ModelReport(
        model=model,
        history=[epoch(number) for number in range(1, 5)],
        evaluation=row | asdict(found.overall) | {"created_at": START},
        classes=found.classes,
        contrasts=found.contrasts,
        similarities=found.similarities,
        confusion=found.confusion,
        images=found.images,
        dataset={"digest": "d1", "profile": "auto", "n_ok": 880, "n_rejected": 3},
        dataset_classes=pd.DataFrame(rows, columns=["label", "tumor", "contrast", "n_ok"]),
        sizes=pd.DataFrame([sizes]),
    )
    return replace(report, **changes)


def sweep_report(classes: tuple[str, ...] = CLASSES, **changes: Any) -> SweepReport:
    """A cross-validation with three models, the last of which has no evaluation of its own."""
    whole = model_report(classes)
    shared = {field.name: getattr(whole, field.name) for field in fields(EvaluationReport)}
    models = tuple(fold_metadata(classes, fold) for fold in (1, 2, 3))
    folds = pd.DataFrame([{**whole.evaluation, "model_id": models[at].id, "accuracy": 0.5 + at / 4} for at in (0, 1)])
    shared["evaluation"] = {**whole.evaluation, "model_id": None, "sweep_id": "folds-0123456789"}
    return replace(SweepReport(**shared, sweep_id="folds-0123456789", models=models, folds=folds), **changes)


def fold_metadata(classes: tuple[str, ...], fold: int) -> ModelMetadata:
    recipe = {"fold": fold, "folds": 3, "weights": "none", "image_size": 64, "seed": 0}
    name = f"resnet18-64px-grouped-fold{fold}of3-0123456789"
    return metadata(classes, id=name, protocol="grouped", recipe=recipe, sha256=str(fold) * 64, temperature=fold / 2)
