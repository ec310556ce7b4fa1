"""Scoring: a model and a folder in, one row for every file and slice found out."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mri_model.data.decode import DecodedImage, decode, load_content
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.slices import Slice
from mri_model.data.parallel import chunks
from mri_model.data.reading import CHANGED
from mri_model.errors import MriError
from mri_model.evaluation.abstention import prediction_set
from mri_model.models.artifact import Model
from mri_model.scoring.decision import AnswerRule
from mri_model.scoring.drift import is_compared, pack
from mri_model.scoring.listing import ListedFile

Identity = tuple[str, str]
"""(path, sha256). With the model's id it identifies a prediction. sha256 is empty if the file could not be read."""

TOP = 5

FILES_PER_TASK = 8
"""Files a thread reads at a time; small, because the images read ahead of the network stay in memory."""

SLICES_PER_TASK = 32
"""Slices of a volume that a thread reads at a time: of the default choice (``AXIAL_SLICES``) all."""


@dataclass(frozen=True)
class Entry:
    """One file, or slice of a file, that was read.

    Attributes:
        path: Absolute POSIX path.
        sha256: Digest of the file's bytes; empty if it could not be read.
        plane: The image as it is stored, uint8 (3, store_size, store_size); None if the file is rejected or known.
        reason: Why the file is rejected, or None.
        known: Whether the model has scored these bytes at this path before.
        fingerprint: Of an image that is compared with the validation images (``scoring.drift``); else None.
        seconds: For reading and decoding; of a slice its part of the time for those that were read together.
        series, patient: As in ``Prediction``.
    """

    path: str
    sha256: str
    plane: np.ndarray | None = None
    fingerprint: bytes | None = None
    reason: str | None = None
    known: bool = False
    seconds: float = 0.0
    series: str | None = None
    patient: str | None = None


@dataclass(frozen=True)
class Prediction:
    """The row of one file, or of one slice of a file.

    Attributes:
        path: Absolute POSIX path; of a slice ``a.nii.gz#z=23`` or ``a.dcm#frame=4``.
        sha256: Digest of the file's bytes; empty if it could not be read.
        status: ``abstained`` if the model gives no answer; what it would have said follows nevertheless.
        seconds: For reading, decoding and its share of the network's batch.
        reason: Why the file is rejected or the model abstains, or None.
        label: Name of the predicted class; None if the file is rejected, as is all that follows.
        probability: Of the predicted class, calibrated, 0-1.
        tumor_probability: Of the label's tumor: the sum over its contrasts.
        contrast_probability: Of the label's contrast: the sum over all tumors; None if the label has none.
        top5: The five most probable classes with their probabilities.
        distance: From the training images (``models.guard``); None without a guard, as is ``prediction_set``.
        prediction_set: The labels that hold the true one with the probability ``GuardMetadata.set_level``.
        risk: The risk that the status was decided for; None if none was stated.
        series: Pseudonym of the series that the image is of; None for a plain image.
        patient: Pseudonym of the patient, or a subject's name.
        probabilities: Of all classes, in the model's order; only of an image of a series.
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
    distance: float | None = None
    prediction_set: tuple[str, ...] | None = None
    risk: float | None = None
    series: str | None = None
    patient: str | None = None
    probabilities: tuple[float, ...] | None = None


def reading_tasks(files: Iterable[ListedFile], n_files: int) -> Iterator[list[ListedFile]]:
    """The files of a shard as they are read: slices of one file together, and up to ``n_files`` other files."""
    others: list[ListedFile] = []
    for _, same in groupby(files, key=lambda listed: listed.file):
        rows = list(same)
        if len(rows) == 1:
            others += rows
        if others and (len(rows) > 1 or len(others) == n_files):
            yield others
            others = []
        if len(rows) > 1:
            yield from chunks(rows, SLICES_PER_TASK)
    if others:
        yield others


def read_entries(model: Model, files: Sequence[ListedFile], known: Set[Identity], n_new: int) -> list[Entry]:
    """Read and decode the files of a task; a file with several slices is opened once.

    Args:
        files: Those with the same ``file`` follow each other.
        known: As in ``read_entry``.
        n_new: About how many files of the run the model has not scored before.

    Raises:
        MriError: If the folder of a file is gone: that says nothing about the file.
    """
    entries: list[Entry] = []
    for _, same in groupby(files, key=lambda listed: listed.file):
        rows = list(same)
        plain = rows[0].slice is None
        entries += [read_entry(model, rows[0], known, n_new)] if plain else read_slices(model, rows, known, n_new)
    return entries


def read_slices(model: Model, rows: Sequence[ListedFile], known: Set[Identity], n_new: int) -> list[Entry]:
    """The pictures of a DICOM or NIfTI file. It is not opened if all of them are rejected, or known by its digest."""
    started = time.perf_counter()
    new = [row for row in rows if not row.reason and (row.path, row.sha256) not in known]
    images = decode_pictures(new) if new else []
    entries = {row.path: as_entry(model, row, image, n_new) for row, image in zip(new, images, strict=True)}
    seconds = (time.perf_counter() - started) / max(len(new), 1)
    return [
        replace(entries[row.path], seconds=seconds)
        if row.path in entries
        else replace(unread(row), sha256=row.sha256 or "", known=not row.reason)
        for row in rows
    ]


def decode_pictures(rows: Sequence[ListedFile]) -> list[DecodedImage]:
    """Pictures of one file; all are rejected if it has changed since it was surveyed."""
    content = load_content(rows[0].file)
    if content.reason and not content.sha256:
        check_folder(rows[0])
    if content.sha256 != rows[0].sha256:
        return [DecodedImage(content.sha256, reason=content.reason or CHANGED)] * len(rows)
    return decode_slices(content, [row.picture or Slice("", None) for row in rows])


def read_entry(model: Model, listed: ListedFile, known: Set[Identity], n_new: int) -> Entry:
    """Read and decode one plain image, unless it is refused unread or the model has scored these bytes at this path.

    Args:
        n_new: About how many files of the run the model has not scored before.

    Raises:
        MriError: If the folder of the file is gone: that says nothing about the file.
    """
    started = time.perf_counter()
    if listed.reason:
        return unread(listed)
    content = load_content(listed.file)
    if content.reason and not content.sha256:
        check_folder(listed)
    if (listed.path, content.sha256) in known:
        return Entry(listed.path, content.sha256, known=True)
    entry = as_entry(model, listed, decode(content), n_new)
    return replace(entry, seconds=time.perf_counter() - started)


def unread(listed: ListedFile) -> Entry:
    return Entry(listed.path, "", reason=listed.reason, series=listed.series, patient=listed.patient)


def as_entry(model: Model, listed: ListedFile, image: DecodedImage, n_new: int) -> Entry:
    """What is kept of a decoded image."""
    entry = replace(unread(listed), sha256=image.sha256, reason=image.reason)
    if image.pixels is None:
        return entry
    compared = model.reference is not None and is_compared(image.sha256, n_new)
    fingerprint = pack(image.pixels) if compared else None
    return replace(entry, plane=model.preprocessing.shrink(image.pixels), fingerprint=fingerprint)


def check_folder(listed: ListedFile) -> None:
    """Raises MriError if a file's folder is gone or empty: it was moved, or the share that holds it is away."""
    folder = Path(os.fsdecode(listed.file)).parent
    try:
        with os.scandir(folder) as entries:
            is_there = any(True for _ in entries)
    except PermissionError:
        return
    except OSError:
        is_there = False
    if not is_there:
        raise MriError(
            f"{listed.path.rpartition('/')[0]} is gone",
            "bring it back, then run the same command, which goes on; or score what is left",
        )


def score_entries(model: Model, rule: AnswerRule, entries: Sequence[Entry]) -> list[Prediction]:
    """The predictions of files that were read, in their order."""
    planes = [entry.plane for entry in entries if entry.plane is not None]
    started = time.perf_counter()
    found = iter(answers(model, np.stack(planes)) if planes else ())
    seconds = (time.perf_counter() - started) / max(len(planes), 1)
    return [
        rejection(model, rule, entry)
        if entry.plane is None
        else answer(model, rule, entry, *next(found), entry.seconds + seconds)
        for entry in entries
    ]


def answers(model: Model, planes: np.ndarray) -> list[tuple[np.ndarray, float | None]]:
    """Probabilities and distance of each image."""
    probabilities, distances = model.answers(torch.from_numpy(planes))
    far = [None] * len(planes) if distances is None else distances.tolist()
    return list(zip(probabilities.numpy(), far, strict=True))


def rejection(model: Model, rule: AnswerRule, entry: Entry) -> Prediction:
    return Prediction(
        model_id=model.id,
        path=entry.path,
        sha256=entry.sha256,
        status="rejected",
        scored_at=datetime.now(UTC),
        seconds=entry.seconds,
        reason=entry.reason,
        risk=rule.risk,
        series=entry.series,
        patient=entry.patient,
    )


def answer(
    model: Model, rule: AnswerRule, entry: Entry, probabilities: np.ndarray, distance: float | None, seconds: float
) -> Prediction:
    objection = rule.objection(float(probabilities.max()), distance)
    return Prediction(
        model_id=model.id,
        path=entry.path,
        sha256=entry.sha256,
        status="abstained" if objection else "scored",
        scored_at=datetime.now(UTC),
        seconds=seconds,
        reason=objection,
        distance=distance,
        prediction_set=possible_labels(model, probabilities),
        risk=rule.risk,
        series=entry.series,
        patient=entry.patient,
        probabilities=tuple(probabilities.tolist()) if entry.series else None,
        **best_answer(model, probabilities),
    )


def best_answer(model: Model, probabilities: np.ndarray) -> dict[str, Any]:
    """The most probable class, as a row says it: label and parts, their probabilities, and the five best."""
    best = np.argsort(-probabilities, kind="stable")[:TOP]
    label = model.labels[best[0]]
    return {
        "label": label.name,
        "tumor": label.tumor,
        "contrast": label.contrast,
        "probability": float(probabilities[best[0]]),
        "tumor_probability": marginal(probabilities, [each.tumor == label.tumor for each in model.labels]),
        "contrast_probability": marginal(probabilities, [each.contrast == label.contrast for each in model.labels])
        if label.contrast
        else None,
        "top5": tuple({"label": model.classes[at], "probability": float(probabilities[at])} for at in best),
    }


def possible_labels(model: Model, probabilities: np.ndarray) -> tuple[str, ...] | None:
    """The prediction set of an image, the most probable label first; None without a guard."""
    if model.metadata.guard is None:
        return None
    return tuple(model.classes[at] for at in prediction_set(probabilities, model.metadata.guard.set_probability))


def marginal(probabilities: np.ndarray, chosen: list[bool]) -> float:
    """Sum of the chosen probabilities, in 0-1."""
    return min(float(probabilities[np.array(chosen)].sum(dtype=np.float64)), 1.0)
