"""Models, evaluations and scoring runs to ask questions about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from mri_model.results.store import Store
from tests.results import result_samples as samples


def listed(frame: pd.DataFrame, *columns: str) -> list[list[Any]]:
    """Rows with missing values as None, fractions to six digits."""
    chosen = frame[list(columns)] if columns else frame
    plain = chosen.astype(object).where(chosen.notna(), None).values.tolist()
    return [[round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in plain]


def scores(*rows: tuple[str, float, int]) -> pd.DataFrame:
    """Class rows: label, F1 (also precision and recall; the interval is 0.1 wide), support."""
    frame = samples.class_metrics([(label, f1, f1, f1, n) for label, f1, n in rows])
    return frame.assign(f1_low=(frame["f1"] - 0.05).clip(0), f1_high=(frame["f1"] + 0.05).clip(upper=1))


TEST_IMAGES = samples.answers(
    ("1.png", "Papiloma T1", "Papiloma T1", 0.95, 0.99),
    ("2.png", "Papiloma T1", "Papiloma T1", 0.91, 0.97),
    ("3.png", "Papiloma T1", "Granuloma T1", 0.85, 0.96),
    ("4.png", "Papiloma T2", "Papiloma T1", 0.55, 0.5),
    ("5.png", "Papiloma T2", "Papiloma T2", 0.5, 0.4),
)


CONFUSION = [
    {"true_label": "Papiloma T1", "predicted_label": "Granuloma T1", "n": 2},
    {"true_label": "Papiloma T1", "predicted_label": "Papiloma T1", "n": 6},
    {"true_label": "Papiloma T2", "predicted_label": "Papiloma T1", "n": 3},
    {"true_label": "Papiloma T2", "predicted_label": "Granuloma T1", "n": 1},
]


def record_models(store: Store) -> None:
    """A champion that was tested first, and a later model that was tested last, both on the same images."""
    samples.record_model(store, id="m-old")
    store.record_model(samples.model(id="m-new", created_at=samples.later(1), protocol="grouped"), [])
    old = scores(("Granuloma T1", 0.8, 4), ("Papiloma T1", 0.5, 8), ("Papiloma T2", 0.25, 4))
    new = scores(("Granuloma T1", 0.82, 4), ("Papiloma T1", 0.9, 8), ("Papiloma T2", 0.1, 4))
    store.record_evaluation(
        samples.evaluation(id="e-old", model_id="m-old"), old, [], CONFUSION, [], evaluated_image=TEST_IMAGES
    )
    later = samples.evaluation(id="e-new", model_id="m-new", created_at=samples.later(2))
    store.record_evaluation(later, new, [], CONFUSION[:2], [], evaluated_image=TEST_IMAGES[2:])


def promote_old(store: Store) -> None:
    samples.record_promotion(store, "m-old", "champion", 3)


def record_scored(store: Store, run: str, model: str, minute: float, *rows: dict[str, Any]) -> None:
    when, folder = samples.later(minute), str(Path(rows[0]["path"]).parent)
    about = {"folder": folder, "started_at": when, "n_found": len(rows)}
    about["finished_at"] = when + timedelta(seconds=90)
    samples.record_run(store, id=run, model_id=model, **about)
    samples.record_predictions(store, [row | {"run_id": run, "model_id": model, "scored_at": when} for row in rows])


def labelled(path: str, label: str, probability: float = 0.75, **changes: Any) -> dict[str, Any]:
    return samples.prediction(path, label=label, probability=probability, **changes)


def now() -> float:
    """Minutes from the samples' start until now."""
    return (datetime.now(UTC) - samples.START) / timedelta(minutes=1)


DAY = 24 * 60


def record_recent(store: Store) -> None:
    """Scored: one image nine days ago; three six days ago, by the other model too."""
    record_models(store)
    record_scored(store, "r1", "m-old", now() - 9 * DAY, labelled("/in/old.jpg", "Papiloma T2"))
    images = [labelled("/in/1.jpg", "Papiloma T1", 0.5), labelled("/in/2.jpg", "Papiloma T1", 0.7)]
    record_scored(store, "r2", "m-old", now() - 6 * DAY, *images, labelled("/in/3.jpg", "Granuloma T1", 0.9))
    record_scored(store, "r3", "m-new", now() - 6 * DAY, labelled("/in/1.jpg", "Papiloma T2", 0.25))


IDS = ("resnet18-256px-random-0a1b2c3d4e", "resnet18-256px-grouped-9f8e7d6c5b")


IN_ROWS = [
    *("champion", "model-stage", "latest-evaluation", "always-wrong", "champion-on", "class-history", "compare"),
    *("confusions-across-contrasts", "confusions-within-contrast", "contrast-by-tumor", "costs", "coverage", "drift"),
    *("label-changes", "newest-against-last", "protocols", "reliability", "retired-results", "scored-mix"),
    *("unscored", "worst-classes"),
]
