"""Model and folder in, one row for every file found out."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mri_model.data.decode import Content, decode, load_content
from mri_model.data.inventory import FoundFile, list_files, refusal
from mri_model.data.labels import parse_label
from mri_model.models.artifact import Model
from mri_model.models.inference import BATCH

Row = dict[str, Any]
"""path, sha256, status (scored/rejected), reason, label, tumor, contrast, probability, scored_at, model_id."""

Identity = tuple[str, str]
"""(path, sha256); with the model's id it names a prediction. sha256 is empty where the bytes could not be read."""


@dataclass(frozen=True)
class Entry:
    """One file: where it lies, who it is, and its input to the network or the reason why there is none."""

    path: str
    sha256: str
    plane: np.ndarray | None = None
    reason: str | None = None
    known: bool = False


def paths_below(folder: Path) -> dict[str, FoundFile]:
    """Every file below ``folder`` by the absolute path that names it in rows. Raises MriError where there are none."""
    base = folder.resolve()
    return {f"{base.as_posix()}/{found.path}": found for found in list_files(folder)}


def score_files(
    model: Model, files: Mapping[str, FoundFile], known: Set[Identity]
) -> Iterator[tuple[list[Row], list[Identity]]]:
    """Score files in bounded chunks; a chunk is its new rows and the identity of every file looked at.

    ``known`` holds the files this model has scored before: they yield no row. A row is made from the entry that carried
    its pixels, never by position.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead: list[Future[Entry]] = []
        for chunk in [*chunks(list(files.items()), BATCH), []]:
            current, ahead = (
                ahead,
                [pool.submit(read_entry, model, path, found, known) for path, found in chunk],
            )
            entries = [future.result() for future in current]
            if entries:
                new = [entry for entry in entries if not entry.known]
                yield score_entries(model, new), [(entry.path, entry.sha256) for entry in entries]


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


def score_entries(model: Model, entries: Sequence[Entry]) -> list[Row]:
    with_pixels = [entry for entry in entries if entry.plane is not None]
    rows = [as_row(model, entry) for entry in entries if entry.plane is None]
    if with_pixels:
        batch = torch.from_numpy(np.stack([entry.plane for entry in with_pixels if entry.plane is not None]))
        for entry, chances in zip(with_pixels, model.probabilities(batch), strict=True):
            best = int(chances.argmax())
            rows.append(as_row(model, entry, model.classes[best], float(chances[best])))
    return rows


def as_row(model: Model, entry: Entry, name: str | None = None, probability: float | None = None) -> Row:
    label = parse_label(name) if name else None
    return {
        "model_id": model.id,
        "path": entry.path,
        "sha256": entry.sha256,
        "status": "rejected" if label is None else "scored",
        "reason": entry.reason,
        "label": name,
        "tumor": label.tumor if label else None,
        "contrast": label.contrast if label else None,
        "probability": probability,
        "scored_at": datetime.now(UTC),
    }


def chunks(items: list[tuple[str, FoundFile]], size: int) -> Iterator[list[tuple[str, FoundFile]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
