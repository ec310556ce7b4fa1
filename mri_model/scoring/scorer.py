"""Scoring: a model and a folder in, one row for every file found out."""

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import torch

from mri_model.data.decode import decode, load_content
from mri_model.models.artifact import Model
from mri_model.scoring.listing import ListedFile

Identity = tuple[str, str]
"""(path, sha256). With the model's id it identifies a prediction. sha256 is empty if the file could not be read."""

TOP = 5

FILES_PER_TASK = 8
"""Files a thread reads at a time; small, because the images read ahead of the network stay in memory."""


@dataclass(frozen=True)
class Entry:
    """One file that was read.

    Attributes:
        path: Absolute POSIX path.
        sha256: Digest of the bytes; empty if the file could not be read.
        plane: The image as it is stored, uint8 (3, store_size, store_size); None if the file is rejected or known.
        reason: Why the file is rejected, or None.
        known: Whether the model has scored these bytes at this path before.
        seconds: For reading and decoding.
    """

    path: str
    sha256: str
    plane: np.ndarray | None = None
    reason: str | None = None
    known: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """The row of one file.

    Attributes:
        path: Absolute POSIX path.
        sha256: Digest of the bytes; empty if the file could not be read.
        status: ``abstained`` is kept for models that refuse to answer.
        seconds: For reading, decoding and its share of the network's batch.
        reason: Why the file is rejected, or None.
        label: Name of the predicted class; None if the file is rejected, as is all that follows.
        probability: Of the predicted class, calibrated, 0-1.
        tumor_probability: Of the label's tumor: the sum over its contrasts.
        contrast_probability: Of the label's contrast: the sum over all tumors; None if the label has none.
        top5: The five most probable classes with their probabilities.
    """

    model_id: str
    path: str
    sha256: str
    status: Literal["scored", "abstained", "rejected"]
    scored_at: datetime
    seconds: float
    reason: str | None = None
    label: str | None = None
    tumor: str | None = None
    contrast: str | None = None
    probability: float | None = None
    tumor_probability: float | None = None
    contrast_probability: float | None = None
    top5: tuple[dict[str, Any], ...] | None = None


def read_entry(model: Model, listed: ListedFile, known: Set[Identity]) -> Entry:
    """Read and decode one file, unless it is refused unread or the model has scored these bytes at this path."""
    started = time.perf_counter()
    if listed.reason:
        return Entry(listed.path, "", reason=listed.reason)
    content = load_content(listed.file)
    if (listed.path, content.sha256) in known:
        return Entry(listed.path, content.sha256, known=True)
    image = decode(content)
    plane = None if image.pixels is None else model.preprocessing.shrink(image.pixels)
    return Entry(listed.path, image.sha256, plane, image.reason, seconds=time.perf_counter() - started)


def score_entries(model: Model, entries: Sequence[Entry]) -> list[Prediction]:
    """The predictions of files that were read, in their order."""
    planes = [entry.plane for entry in entries if entry.plane is not None]
    started = time.perf_counter()
    chances = iter(model.probabilities(torch.from_numpy(np.stack(planes))).numpy() if planes else ())
    seconds = (time.perf_counter() - started) / max(len(planes), 1)
    return [
        rejection(model, entry) if entry.plane is None else answer(model, entry, next(chances), entry.seconds + seconds)
        for entry in entries
    ]


def rejection(model: Model, entry: Entry) -> Prediction:
    return Prediction(model.id, entry.path, entry.sha256, "rejected", datetime.now(UTC), entry.seconds, entry.reason)


def answer(model: Model, entry: Entry, probabilities: np.ndarray, seconds: float) -> Prediction:
    best = np.argsort(-probabilities, kind="stable")[:TOP]
    label = model.labels[best[0]]
    return Prediction(
        model_id=model.id,
        path=entry.path,
        sha256=entry.sha256,
        status="scored",
        scored_at=datetime.now(UTC),
        seconds=seconds,
        label=label.name,
        tumor=label.tumor,
        contrast=label.contrast,
        probability=float(probabilities[best[0]]),
        tumor_probability=marginal(probabilities, [each.tumor == label.tumor for each in model.labels]),
        contrast_probability=marginal(probabilities, [each.contrast == label.contrast for each in model.labels])
        if label.contrast
        else None,
        top5=tuple({"label": model.classes[at], "probability": float(probabilities[at])} for at in best),
    )


def marginal(probabilities: np.ndarray, chosen: list[bool]) -> float:
    """Sum of the chosen probabilities, in 0-1."""
    return min(float(probabilities[np.array(chosen)].sum(dtype=np.float64)), 1.0)
