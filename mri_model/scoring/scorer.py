"""Scoring: a model and a folder in, one row for every file found out."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from mri_model.data.decode import Content, decode, load_content
from mri_model.data.labels import parse_label
from mri_model.data.listing import FoundFile, list_files, refusal
from mri_model.data.parallel import chunks, ordered_map
from mri_model.models.artifact import Model
from mri_model.models.inference import BATCH

Identity = tuple[str, str]
"""(path, sha256). With the model's id it identifies a prediction. sha256 is empty if the file could not be read."""

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
    """

    path: str
    sha256: str
    plane: np.ndarray | None = None
    reason: str | None = None
    known: bool = False


@dataclass(frozen=True)
class Prediction:
    """The row of one file.

    Attributes:
        path: Absolute POSIX path.
        sha256: Digest of the bytes; empty if the file could not be read.
        status: ``abstained`` is kept for models that refuse to answer.
        reason: Why the file is rejected, or None.
        label: Name of the predicted class; None if the file is rejected, as are ``tumor`` and ``probability``.
        probability: Of the predicted class, 0–1.
    """

    model_id: str
    path: str
    sha256: str
    status: Literal["scored", "abstained", "rejected"]
    reason: str | None
    label: str | None
    tumor: str | None
    contrast: str | None
    probability: float | None
    scored_at: datetime


def paths_below(folder: Path) -> dict[str, FoundFile]:
    """Every file below ``folder`` by its absolute path, as rows name it. Raises MriError if there are none."""
    base = folder.resolve()
    return {
        f"{base.as_posix()}/{found.path}": found for found in list_files(folder, "give a folder of images to score")
    }


def score_files(
    model: Model, files: Mapping[str, FoundFile], known: Set[Identity]
) -> Iterator[tuple[list[Prediction], list[Identity]]]:
    """Score files in batches, in the order of ``files``. Threads read and decode ahead of the network.

    A prediction is made from the entry that holds its pixels, never by position.

    Args:
        model: The model.
        files: Files by absolute path.
        known: Files that this model has scored before. They yield no prediction.

    Yields:
        For each batch, its new predictions and the identity of every file in it.
    """
    entries = ordered_map(lambda item: read_entry(model, *item, known), files.items(), items_per_task=FILES_PER_TASK)
    for batch in chunks(entries, BATCH):
        new = [entry for entry in batch if not entry.known]
        yield score_entries(model, new), [(entry.path, entry.sha256) for entry in batch]


def read_entry(model: Model, path: str, found: FoundFile, known: Set[Identity]) -> Entry:
    if reason := refusal(found):
        return Entry(path, "", reason=reason)
    content = load_content(found.file)
    if (path, content.sha256) in known:
        return Entry(path, content.sha256, known=True)
    return decode_entry(model, path, content)


def decode_entry(model: Model, path: str, content: Content) -> Entry:
    image = decode(content)
    plane = None if image.pixels is None else model.preprocessing.shrink(image.pixels)
    return Entry(path, image.sha256, plane, image.reason)


def score_entries(model: Model, entries: Sequence[Entry]) -> list[Prediction]:
    with_pixels = [entry for entry in entries if entry.plane is not None]
    rows = [prediction_of(model, entry) for entry in entries if entry.plane is None]
    if with_pixels:
        batch = torch.from_numpy(np.stack([entry.plane for entry in with_pixels if entry.plane is not None]))
        for entry, chances in zip(with_pixels, model.probabilities(batch), strict=True):
            best = int(chances.argmax())
            rows.append(prediction_of(model, entry, model.classes[best], float(chances[best])))
    return rows


def prediction_of(model: Model, entry: Entry, name: str | None = None, probability: float | None = None) -> Prediction:
    label = parse_label(name) if name else None
    return Prediction(
        model_id=model.id,
        path=entry.path,
        sha256=entry.sha256,
        status="rejected" if label is None else "scored",
        reason=entry.reason,
        label=name,
        tumor=label.tumor if label else None,
        contrast=label.contrast if label else None,
        probability=probability,
        scored_at=datetime.now(UTC),
    )
