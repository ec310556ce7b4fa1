"""The result of a series: what the model says about its slices together."""

from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from statistics import median
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mri_model.data.medical.choice import LEFT_OUT
from mri_model.models.artifact import Model
from mri_model.scoring.decision import AnswerRule
from mri_model.scoring.scorer import best_answer

COLUMNS = ["series", "patient", "status", "reason", "probabilities", "distance", "scored_at"]


@dataclass(frozen=True)
class SeriesPrediction:
    """The row of one series.

    Attributes:
        n_images: Number of its rows: scored, abstained and rejected ones.
        n_rejected: Also those that the choice of slices leaves out.
        status: ``rejected`` if the model has said something about none of its images.
        reason: Why it is rejected or the model abstains, or None.
        label: The class with the highest mean probability; None if it is rejected, as is all that follows.
        probability: Mean of the calibrated probabilities over the scored and abstained images, as are the others.
        distance: Median of the images' distances from the training images.
        risk: As in ``Prediction``. The smallest probability that it demands was chosen for single images.
        scored_at: When the last of its images was scored.
    """

    run_id: str
    series: str
    model_id: str
    patient: str | None
    n_images: int
    n_scored: int
    n_abstained: int
    n_rejected: int
    status: Literal["scored", "abstained", "rejected"]
    scored_at: datetime
    reason: str | None = None
    label: str | None = None
    tumor: str | None = None
    contrast: str | None = None
    probability: float | None = None
    tumor_probability: float | None = None
    contrast_probability: float | None = None
    top5: tuple[dict[str, Any], ...] | None = None
    distance: float | None = None
    risk: float | None = None


@dataclass
class SeriesSum:
    """What is kept of the rows of a series while they are read.

    Attributes:
        scored_at: When the last of them was scored.
        counts: Status → number of images.
        patients: Normally one.
        reasons: Reason of rejected images → number of images.
        total: Sum of the probabilities of the scored and abstained images, float64 of shape (classes,).
        distances: Of these images.
    """

    scored_at: datetime
    counts: Counter[str] = field(default_factory=Counter)
    patients: set[str | None] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)
    total: np.ndarray | None = None
    distances: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, row: dict[str, Any]) -> None:
        self.scored_at = max(self.scored_at, row["scored_at"])
        self.counts[row["status"]] += 1
        self.patients.add(row["patient"])
        if row["status"] == "rejected":
            self.reasons[row["reason"]] += 1
            return
        probabilities = np.array(row["probabilities"], np.float64)  # null, as NaN is stored, is NaN again
        self.total = probabilities if self.total is None else self.total + probabilities
        if row["distance"] is not None:
            self.distances.append(row["distance"])

    @property
    def patient(self) -> str | None:
        """The patient of the series; None if it has none, or several."""
        return next(iter(self.patients)) if len(self.patients) == 1 else None

    @property
    def rejection(self) -> str | None:
        """Why nothing can be said about the series."""
        if len(self.patients) > 1:
            return f"images of {len(self.patients)} patients have the identifier of this series"
        if self.total is not None:
            return None
        why = [each for each, _ in self.reasons.most_common() if not each.startswith(LEFT_OUT)]
        return why[0] if why else "all of its images are left out"


class SeriesSums:
    """The series among the rows of a run, in the order in which they were found. Memory grows with their number."""

    def __init__(self) -> None:
        self.sums: dict[str, SeriesSum] = {}

    def add(self, rows: pa.Table) -> None:
        """Count rows of ``parts.SCHEMA`` in; those of plain images have no series."""
        for row in rows.select(COLUMNS).filter(pc.is_valid(rows["series"])).to_pylist():
            self.sums.setdefault(row["series"], SeriesSum(row["scored_at"])).add(row)

    def rows(self, model: Model, rule: AnswerRule, run_id: str) -> list[dict[str, Any]]:
        """The rows of ``series_prediction``."""
        return [asdict(series_prediction(model, rule, run_id, *each)) for each in self.sums.items()]


def series_prediction(model: Model, rule: AnswerRule, run_id: str, series: str, found: SeriesSum) -> SeriesPrediction:
    """The row of a series, with an answer unless the model abstains about the mean of its images."""
    rejection = found.rejection
    row = SeriesPrediction(
        run_id=run_id,
        series=series,
        model_id=model.id,
        patient=found.patient,
        n_images=found.counts.total(),
        n_scored=found.counts["scored"],
        n_abstained=found.counts["abstained"],
        n_rejected=found.counts["rejected"],
        status="rejected",
        reason=rejection,
        risk=rule.risk,
        scored_at=found.scored_at,
    )
    if rejection or found.total is None:
        return row
    mean = found.total / (row.n_scored + row.n_abstained)
    distance = median(found.distances) if found.distances else None
    objection = rule.objection(float(mean.max()), distance, of_series=True)
    status: Literal["scored", "abstained"] = "abstained" if objection else "scored"
    return replace(row, status=status, reason=objection, distance=distance, **best_answer(model, mean))
