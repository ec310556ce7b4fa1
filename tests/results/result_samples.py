"""Rows to fill a results database with; the figures are those of the report."""

import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from mri_model.data.labels import parse_label
from mri_model.report.published import published_results
from mri_model.results import schema
from mri_model.results.store import Store, execute_many
from mri_model.results.values import stored_rows

START = datetime(2026, 11, 2, 9, 30, 0, 123456, tzinfo=UTC)
PROFILE = Path(__file__).parents[2] / "mri_model" / "data" / "profiles" / "brain-tumor-44c.toml"

TABLE_5_ROWS = list(published_results().table_5)
"""Table 5 of the report, in its order: class, precision, recall, F1, support."""


def later(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def dataset(**changes: Any) -> dict[str, Any]:
    row = {
        "digest": "d1",
        "profile": "brain-tumor-44c",
        "root": "/data/mri",
        "seed": 2**40,
        "n_files": 4479,
        "n_ok": 4479,
        "n_rejected": 0,
        "data_digest": "dd1",
        "schema_version": 1,
        "ingested_at": START,
    }
    return row | changes


def dataset_class(position: int, name: str, n_ok: int) -> dict[str, Any]:
    label = parse_label(name)
    splits = {"n_train": n_ok, "n_val": 0, "n_test": 0}
    grouped = {f"{split}_grouped": n for split, n in splits.items()}
    row = {
        "position": position,
        "label": name,
        "tumor": label.tumor,
        "contrast": label.contrast,
        "n_ok": n_ok,
        "n_groups": 1 + n_ok // 8,
    }
    return row | splits | grouped


def classes(counts: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Class rows; by default those of the published data set."""
    counts = counts or tomllib.loads(PROFILE.read_text(encoding="utf-8"))["classes"]
    return [dataset_class(position, name, n) for position, (name, n) in enumerate(sorted(counts.items()))]


def model(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "m1",
        "dataset_digest": "d1",
        "protocol": "random",
        "image_size": 100,
        "batch_size": 50,
        "epochs": 5,
        "best_epoch": 5,
        "train_accuracy": 0.998,
        "val_accuracy": 0.689,
        "val_precision": 0.72,
        "val_recall": 0.59,
        "val_f1": 0.62,
        "weights": "imagenet",
        "device": "cpu",
        "seconds": 61.5,
        "created_at": START,
        "status": "trained",
        "path": "models/m1",
        "recipe": {"lr": 0.01, "steps": [1, 2], "name": "report"},
        "sha256": "w1",
        "temperature": 0.8,
        "preprocessing": {"size": 100, "mean": [0.5, 0.5, 0.5]},
        "fold": None,
        "folds": None,
    }
    return row | changes


def epochs(n: int = 2) -> pd.DataFrame:
    measured = {name: [0.5] * n for name in ("train_accuracy", "val_accuracy", "val_precision", "val_recall")}
    return pd.DataFrame(
        {
            "epoch": range(1, n + 1),
            "learning_rate": 0.01,
            "train_loss": [float("nan"), *[1.5] * (n - 1)],
            "val_loss": 2.5,
            **measured,
            "val_f1": 0.4,
            "seconds": 3.25,
        }
    )


def evaluation(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "e1",
        "model_id": "m1",
        "sweep_id": None,
        "dataset_digest": "d1",
        "split": "test",
        "n": 672,
        "accuracy": 0.836,
        "macro_precision": 0.8,
        "macro_recall": 0.75,
        "macro_f1": 0.76,
        "weighted_precision": 0.84,
        "weighted_recall": 0.84,
        "weighted_f1": 0.83,
        "n_seen": 0,
        "duplicate_free_n": 0,
        "duplicate_free_accuracy": None,
        "duplicate_free_macro_f1": None,
        "seconds": 12.0,
        "created_at": START,
    }
    return row | changes


NOT_SAID_BEFORE = (
    *("tumor_accuracy", "tumor_macro_f1", "contrast_accuracy", "contrast_macro_f1"),
    *("accuracy_low", "accuracy_high", "macro_f1_low", "macro_f1_high"),
    *("near_duplicate_n", "near_duplicate_accuracy", "similar_n", "similar_accuracy"),
    *("unlike_n", "unlike_accuracy", "examination_n", "examination_accuracy", "group_n", "group_tumor_accuracy"),
    *("top3_accuracy", "top5_accuracy", "mean_average_precision"),
    *("calibration_error", "uncalibrated_error", "risk_coverage_area"),
)
"""Columns of ``evaluation`` that its first schema lacked."""


def class_metrics(rows: list[tuple[str, float, float, float, int]] = TABLE_5_ROWS) -> pd.DataFrame:
    """The report's Table 5, in the order of the classes."""
    frame = pd.DataFrame(sorted(rows), columns=["label", "precision", "recall", "f1", "support"])
    labels = [parse_label(name) for name in frame["label"]]
    return frame.assign(
        position=range(len(frame)),
        tumor=[label.tumor for label in labels],
        contrast=[label.contrast for label in labels],
        n_groups=1 + frame["support"] // 4,
    )


def contrast_metrics() -> list[dict[str, Any]]:
    """The report's Table 6, in no order."""
    rows = [("T2", 203, 0.778), ("T1C+", 255, 0.859), ("T1", 214, 0.864)]
    return [{"contrast": name, "n": n, "accuracy": share, "macro_f1": 0.7} for name, n, share in rows]


def confusion() -> list[dict[str, Any]]:
    cells = [
        ("Granuloma T1", "Granuloma T2", 2),
        ("Granuloma T1", "Tuberculoma T1", 3),
        ("Papiloma T1", "Papiloma T1", 9),
    ]
    return [{"true_label": true, "predicted_label": taken_for, "n": n} for true, taken_for, n in cells]


def similarity_metrics() -> list[dict[str, Any]]:
    """Two bins of each similarity, in no order."""
    bins = [("pixels", -1.0, 0.95, 400, 0.75), ("edges", 0.9, 1.0, 300, 0.96), ("pixels", 0.95, 1.0, 272, 0.97)]
    names = ("similarity", "low", "high", "n", "accuracy")
    rest = {"macro_f1": 0.5, "nearest_accuracy": 0.6, "nearest_other": None}
    return [{**dict(zip(names, each, strict=True)), **rest} for each in bins]


def evaluated_images() -> list[dict[str, Any]]:
    """Three images of Papiloma T1, the second one taken for Granuloma T1."""
    row = {"sha256": "s", "true_label": "Papiloma T1", "predicted_label": "Papiloma T1", "uncalibrated": 0.9}
    row |= {"true_rank": 1, "resemblance": "unlike", "duplicate_free": True, "pixels": 0.5, "edges": None}
    rows = [row | {"path": f"{n}.png", "group_number": n // 2, "probability": 0.5 + n / 10} for n in range(3)]
    rows[1] |= {"predicted_label": "Granuloma T1", "true_rank": 2}
    return rows


def scoring_run(**changes: Any) -> dict[str, Any]:
    return {"id": "r1", "model_id": "m1", "folder": "/in", "started_at": START} | changes


def prediction(path: str = "a.jpg", **changes: Any) -> dict[str, Any]:
    row = {
        "run_id": "r1",
        "model_id": "m1",
        "sha256": f"sha of {path}",
        "path": path,
        "status": "scored",
        "reason": None,
        "label": "Papiloma T1",
        "tumor": "Papiloma",
        "contrast": "T1",
        "probability": 0.75,
        "scored_at": START,
    }
    return row | changes


def unreadable(path: str = "bad.jpg", **changes: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("label", "tumor", "contrast", "probability"))
    return prediction(path, sha256="", status="rejected", reason="no permission", **nothing) | changes


def series_prediction(series: str = "s", **changes: Any) -> dict[str, Any]:
    row = {
        "run_id": "r1",
        "series": series,
        "model_id": "m1",
        "patient": "p",
        "n_images": 4,
        "n_scored": 2,
        "n_abstained": 1,
        "n_rejected": 1,
        "status": "scored",
        "reason": None,
        "label": "Papiloma T1",
        "tumor": "Papiloma",
        "contrast": "T1",
        "probability": 0.75,
        "tumor_probability": 0.8,
        "contrast_probability": 0.9,
        "top5": [{"label": "Papiloma T1", "probability": 0.75}],
        "distance": 1.5,
        "risk": None,
        "scored_at": START,
    }
    return row | changes


def record_series(store: Store, rows: Iterable[dict[str, Any]]) -> None:
    with store.writing() as connection:
        execute_many(connection, schema.series_prediction.insert(), stored_rows(schema.series_prediction, rows))


def record_run(store: Store, **changes: Any) -> None:
    with store.writing() as connection:
        execute_many(connection, schema.scoring_run.insert(), stored_rows(schema.scoring_run, [scoring_run(**changes)]))


def record_predictions(store: Store, rows: Iterable[dict[str, Any]]) -> None:
    """Rows of files that their run has found; ``seen_at`` is when they were scored unless given."""
    seen = [{"seen_at": row["scored_at"], **row} for row in rows]
    with store.writing() as connection:
        execute_many(connection, schema.prediction.insert(), stored_rows(schema.prediction, seen))


def record_data(store: Store) -> None:
    store.record_dataset(dataset(), classes())


def record_model(store: Store, **changes: Any) -> None:
    record_data(store)
    store.record_model(model(**changes), epochs())


def record_evaluation(store: Store, **changes: Any) -> None:
    store.record_evaluation(
        evaluation(**changes),
        class_metrics(),
        contrast_metrics(),
        confusion(),
        similarity_metrics(),
        evaluated_images(),
    )


def record_promotion(store: Store, model_id: str, stage: str, minute: float, **changes: Any) -> None:
    """A row of the append-only history; rows are numbered in the order in which they are recorded."""
    row = {"model_id": model_id, "stage": stage, "who": "ada", "why": f"{stage} it is", "at": later(minute)}
    with store.writing() as connection:
        connection.execute(schema.promotion.insert().values(row | changes))


def answers(*rows: tuple[str, str, str, float, float]) -> list[dict[str, Any]]:
    """Images of an evaluation: path, true label, answer, probability after and before calibration."""
    given = {"resemblance": "unlike", "duplicate_free": True, "true_rank": 1, "group_number": None}
    names = ("path", "true_label", "predicted_label", "probability", "uncalibrated")
    return [given | {"sha256": f"sha of {row[0]}"} | dict(zip(names, row, strict=True)) for row in rows]
