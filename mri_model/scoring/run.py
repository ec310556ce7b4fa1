"""A scoring run: predictions are committed as they come, then the whole folder is written as one Parquet file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from mri_model.files import atomic, run_id
from mri_model.models.artifact import Model
from mri_model.progress import ProgressCallback, no_progress
from mri_model.scoring.scorer import Identity, paths_below, score_files


class PredictionStore(Protocol):
    """What a scoring run needs of the results database (see ``results.store.Store``)."""

    def start_scoring_run(self, row: Mapping[str, Any]) -> None: ...
    def known_predictions(self, model_id: str, paths: Sequence[str]) -> pd.DataFrame: ...
    def add_predictions(self, rows: Iterable[Mapping[str, Any]]) -> int: ...
    def finish_scoring_run(self, run_id: str, **counts: Any) -> None: ...


@dataclass(frozen=True)
class ScoringCounts:
    """Files of a scoring run: found = scored + abstained + rejected; ``n_reused`` of them kept an earlier row."""

    n_found: int
    n_scored: int
    n_abstained: int
    n_rejected: int
    n_reused: int


@dataclass(frozen=True)
class ScoringRun:
    """A finished scoring run.

    Attributes:
        rows: One row for every file found, sorted by path. ``run_id`` in a row is the run that scored the file.
    """

    run_id: str
    model_id: str
    parquet: Path
    rows: pd.DataFrame
    counts: ScoringCounts


def score_folder(
    store: PredictionStore, model: Model, folder: Path, scores: Path, progress: ProgressCallback = no_progress
) -> ScoringRun:
    """Score every file below ``folder``; one this model scored before, unchanged, keeps its row.

    Raises MriError if the folder is missing or empty.
    """
    files = paths_below(folder)
    run = run_id("score")
    facts = {"id": run, "model_id": model.id, "folder": str(folder.resolve()), "n_found": len(files)}
    store.start_scoring_run({**facts, "started_at": datetime.now(UTC)})
    known = readable(identities(store.known_predictions(model.id, list(files))))
    found: list[Identity] = []
    n_new = 0
    progress("score", 0, len(files))
    for predictions, looked_at in score_files(model, files, known):
        n_new += store.add_predictions([{**asdict(each), "run_id": run} for each in predictions])
        found += looked_at
        progress("score", len(found), len(files))
    stored = store.known_predictions(model.id, list(files))
    current = set(found)
    rows = stored[[identity in current for identity in identities(stored)]].sort_values("path", ignore_index=True)
    parquet = scores / f"{run}.parquet"
    with atomic(parquet) as temporary:
        rows.to_parquet(temporary, index=False)
    by_status = {f"n_{name}": int((rows["status"] == name).sum()) for name in ("scored", "abstained", "rejected")}
    counts = ScoringCounts(len(files), **by_status, n_reused=len(rows) - n_new)
    store.finish_scoring_run(run, parquet=str(parquet), **by_status, n_reused=counts.n_reused)
    return ScoringRun(run, model.id, parquet, rows, counts)


def identities(predictions: pd.DataFrame) -> list[Identity]:
    return list(zip(predictions["path"], predictions["sha256"], strict=True))


def readable(found: list[Identity]) -> set[Identity]:
    """Those with content: files that could not be read are tried again."""
    return {identity for identity in found if identity[1]}
