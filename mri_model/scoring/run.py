"""A scoring run: predictions committed as they come, then the whole folder as one Parquet file."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mri_model.files import atomic, run_id
from mri_model.models.artifact import Model
from mri_model.progress import ProgressCallback, no_progress
from mri_model.scoring.scorer import Identity, paths_below, score_files

if TYPE_CHECKING:
    from mri_model.results.store import Store


@dataclass(frozen=True)
class Scored:
    """A finished run. ``rows`` has one row for every file found, sorted by path; ``run_id`` in a row is the run that
    scored it, an earlier one where the file was known."""

    run_id: str
    model_id: str
    parquet: Path
    rows: pd.DataFrame
    counts: dict[str, int]


def score_folder(
    store: "Store", model: Model, folder: Path, scores: Path, progress: ProgressCallback = no_progress
) -> Scored:
    """Score every file below ``folder``; one this model scored before, unchanged, keeps its row.

    Raises MriError where the folder is missing or empty.
    """
    files = paths_below(folder)
    run = run_id("score")
    facts = {"id": run, "model_id": model.id, "folder": str(folder.resolve()), "n_found": len(files)}
    store.start_scoring_run({**facts, "started_at": datetime.now(UTC)})
    known = readable(identities(store.known_predictions(model.id, list(files))))
    found: list[Identity] = []
    n_new = 0
    progress("score", 0, len(files))
    for scored, looked_at in score_files(model, files, known):
        n_new += store.add_predictions([{**row, "run_id": run} for row in scored])
        found += looked_at
        progress("score", len(found), len(files))
    stored = store.known_predictions(model.id, list(files))
    current = set(found)
    rows = stored[[identity in current for identity in identities(stored)]].sort_values("path", ignore_index=True)
    parquet = scores / f"{run}.parquet"
    with atomic(parquet) as temporary:
        rows.to_parquet(temporary, index=False)
    counts = {f"n_{status}": int((rows["status"] == status).sum()) for status in ("scored", "abstained", "rejected")}
    counts["n_reused"] = len(rows) - n_new
    store.finish_scoring_run(run, parquet=str(parquet), **counts)
    return Scored(run, model.id, parquet, rows, {"n_found": len(files), **counts})


def identities(predictions: pd.DataFrame) -> list[Identity]:
    return list(zip(predictions["path"], predictions["sha256"], strict=True))


def readable(found: list[Identity]) -> set[Identity]:
    """Those with content: what could not be read is tried again."""
    return {identity for identity in found if identity[1]}
