"""Look into the DICOM and NIfTI files of a folder: which pictures they hold, and which of these become images.

All files are looked into before the first image is made, because the files of a DICOM series make one volume.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mri_model.data.decode import load_content
from mri_model.data.listing import FoundFile, refusal
from mri_model.data.medical.choice import AXIAL_SLICES, LEFT_OUT, SliceChoice, choose
from mri_model.data.medical.kinds import FIRST_BYTES, Kind, kind_of, may_be_medical
from mri_model.data.medical.look import Frame, Look, look_into
from mri_model.data.medical.look_cache import LookCache
from mri_model.data.medical.slices import SUFFIX, Slice, with_slice
from mri_model.data.medical.window import Window, percentile_window
from mri_model.data.parallel import chunks, ordered_map
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.progress import ProgressCallback, no_progress, with_progress

FILES_PER_TASK = 4

LOOKUP_FILES = 256
"""Number of files for each query to the cache."""

SEGMENTATIONS = ("_mask", "_dseg", "_probseg", "_seg", "_label", "_labels", "-label", "-seg", "_segmentation")
"""Ends of the names of segmentations in BIDS, BraTS and 3D Slicer."""


@dataclass(frozen=True)
class Source:
    """What is known of the examination of a picture.

    Attributes:
        series: Pseudonym of the series: of its UID, or of a NIfTI file's path.
        patient: Pseudonym of the patient, or the name that a NIfTI file's path gives; None if there is none.
        patient_number: Pseudonym of PatientID alone, by which a table of labels names patients.
        contrast_hint: What the header says about the contrast.
        burned_in: What the header says about text burned into the pixels; None for NIfTI.
    """

    series: str | None = None
    patient: str | None = None
    patient_number: str | None = None
    contrast_hint: str | None = None
    burned_in: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture of a DICOM or NIfTI file.

    Attributes:
        path: What its row shows.
        slice: What decoding it needs.
        shown: How it is made 8 bits: ``file window``, ``file LUT``, ``percentiles`` or ``as stored``.
        limits: The values that are shown black and white; None for a LUT and for values as stored.
        source: Its examination.
        reason: Why it does not become an image; None if it does.
    """

    path: str
    slice: Slice
    shown: str | None = None
    limits: Window | None = None
    source: Source = Source()
    reason: str | None = None


@dataclass(frozen=True)
class SurveyedFile:
    """A DICOM or NIfTI file.

    Attributes:
        kind: Which of the two.
        sha256: Of its bytes, when it was surveyed.
        n_bytes: Its size.
        pictures: At least one.
    """

    kind: Kind
    sha256: str
    n_bytes: int
    pictures: tuple[Picture, ...]


class OpenFile(NamedTuple):
    """A file that was looked into; ``look`` is None while it is to be taken from the cache."""

    found: FoundFile
    kind: Kind
    sha256: str
    n_bytes: int
    look: Look | None

    @property
    def source(self) -> Source:
        look = self.look
        if look is None or look.kind == "NIfTI" or look.reason:
            return Source()
        return Source(look.series, look.patient, look.patient_number, look.contrast_hint, look.burned_in)


class Member(NamedTuple):
    """A picture of a volume."""

    path: str
    frame: Frame
    look: Look
    source: Source

    @property
    def order(self) -> tuple[float, float, str]:
        return self.frame.position, self.look.number, self.path

    @property
    def picture(self) -> Picture:
        frame = self.frame
        window = frame.limits if self.look.kind == "NIfTI" else None  # a DICOM file applies its own window
        return Picture(
            with_slice(self.path, frame.name),
            Slice(frame.name, window),
            frame.shown,
            frame.limits,
            self.source,
            frame.reason,
        )


def survey(
    files: Iterable[FoundFile],
    pseudonyms: Pseudonyms,
    choice: SliceChoice = AXIAL_SLICES,
    threads: int | None = None,
    progress: ProgressCallback = no_progress,
    cache: Path | None = None,
) -> dict[str, SurveyedFile]:
    """Look into all files that may be DICOM or NIfTI.

    Args:
        files: Any files of a folder.
        pseudonyms: Replaces the identifiers.
        choice: Which slices become images.
        threads: Number of threads; by default one per core.
        progress: Called with the stage ``survey`` if there are such files.
        cache: Folder of the cache; None for no cache. Files that it knows are hashed and not decoded.

    Returns:
        By the path of the file; files that are neither DICOM nor NIfTI are missing.
    """
    candidates = [found for found in files if may_be_medical(found.path) and not refusal(found)]
    if not candidates:
        return {}
    with LookCache(cache, pseudonyms, choice.axis) as known:
        opened = ordered_map(
            lambda found: open_file(found, pseudonyms, choice, known), candidates, threads, FILES_PER_TASK
        )
        looked = [
            each
            for chunk in chunks(with_progress(opened, len(candidates), "survey", progress), LOOKUP_FILES)
            for each in with_looks([each for each in chunk if each], known, pseudonyms, choice)
        ]
    pictures = decide(looked, pseudonyms, choice)
    return {each.found.path: surveyed(each, pictures[each.found.path]) for each in looked}


def open_file(found: FoundFile, pseudonyms: Pseudonyms, choice: SliceChoice, known: LookCache) -> OpenFile | None:
    """Read one file and, if the cache does not know it, look into it; None if it is neither DICOM nor NIfTI."""
    content = load_content(found.file) if kind_of(read_start(found.file)) else None
    kind = kind_of(content.data[:FIRST_BYTES]) if content else None
    if content is None or kind is None:
        return None
    look = None if content.sha256 in known else look_into(kind, content, choice.axis, pseudonyms)
    return OpenFile(found, kind, content.sha256, content.n_bytes, look)


def with_looks(
    files: Sequence[OpenFile], known: LookCache, pseudonyms: Pseudonyms, choice: SliceChoice
) -> Iterator[OpenFile]:
    """Each file with its look, which comes from the cache or is added to it."""
    cached = known.get(each.sha256 for each in files if not each.look)
    known.put((each.sha256, each.look) for each in files if each.look)
    for each in files:
        look = each.look or cached.get(each.sha256)
        yield each._replace(look=look or look_into(each.kind, load_content(each.found.file), choice.axis, pseudonyms))


def read_start(file: bytes) -> bytes:
    """The ``FIRST_BYTES`` of a regular file; none if they cannot be read, which is reported when the file is read."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        return os.read(handle, FIRST_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(handle)


def refuse_by_name(path: str) -> str | None:
    """Why a DICOM or NIfTI file of this name is rejected."""
    if SUFFIX.search(path):
        return "its name ends like that of a slice: rename it"
    name = PurePosixPath(path).name.lower().removesuffix(".gz")
    is_segmentation = name.endswith(".nii") and name.removesuffix(".nii").endswith(SEGMENTATIONS)
    return "a segmentation, by its name" if is_segmentation else None


def bids_subject(path: str) -> str | None:
    """The subject that a path names in the manner of BIDS, such as ``sub-003``; None if it names none."""
    parts = [part.split("_")[0].split(".")[0] for part in reversed(PurePosixPath(path).parts)]
    return next((part for part in parts if part.startswith("sub-") and len(part) > 4), None)


def decide(files: Sequence[OpenFile], pseudonyms: Pseudonyms, choice: SliceChoice) -> Mapping[str, list[Picture]]:
    """The pictures of each file, by its path. A volume is a file with several, or the files of a series."""
    volumes: dict[object, list[Member]] = defaultdict(list)
    pictures: dict[str, list[Picture]] = defaultdict(list)
    for file in files:
        path, look = file.found.path, file.look or Look(file.kind)
        if reason := refuse_by_name(path) or look.reason:
            pictures[path].append(Picture(path, Slice("", None), reason=reason))
            continue
        source = Source(pseudonyms.of("file", path), bids_subject(path)) if look.kind == "NIfTI" else file.source
        volume = (source.series, source.patient) if len(look.frames) == 1 else path
        volumes[volume] += [Member(path, frame, look, source) for frame in look.frames]
    for members in volumes.values():
        for member, picture in decided(members, choice):
            pictures[member.path].append(picture)
    return pictures


def decided(members: Sequence[Member], choice: SliceChoice) -> Iterator[tuple[Member, Picture]]:
    """The pictures of a volume with their windows, and the reasons why some do not become images."""
    yield from ((each, each.picture) for each in members if each.frame.reason)
    volume = sorted((each for each in members if not each.frame.reason), key=lambda each: each.order)
    briefs = [each.frame.brief for each in volume if each.frame.brief is not None and not each.frame.limits]
    window = percentile_window(briefs) if briefs else None
    for member, reason in zip(volume, reasons_of(volume, window, choice), strict=True):
        yield member, replace(with_window(member, window), reason=reason)


def with_window(member: Member, window: Window | None) -> Picture:
    picture = member.picture
    if member.frame.brief is None or member.frame.limits:
        return picture
    return replace(picture, slice=replace(picture.slice, window=window), limits=window)


def reasons_of(volume: Sequence[Member], window: Window | None, choice: SliceChoice) -> list[str | None]:
    """Why each picture of a volume, in order, does not become an image; None if it does."""
    planes = {each.frame.plane for each in volume if each.frame.plane}
    if window and not window[1] > window[0]:
        return ["blank: nearly all of its values are equal"] * len(volume)
    if len(planes) > 1:
        return ["a localizer: a series of several planes"] * len(volume)
    if planes and planes != {choice.axis}:
        return [f"a series of {planes.pop()} slices: {choice.axis} ones are taken"] * len(volume)
    if not planes and all(each.frame.name == "" for each in volume):
        return [None] * len(volume)  # single images without geometry, such as screenshots
    shown = ((each.frame, each.frame.limits or window, each.look.is_inverted) for each in volume)
    return choose([frame.brightness(limits, is_inverted) for frame, limits, is_inverted in shown], choice)


def surveyed(file: OpenFile, pictures: Sequence[Picture]) -> SurveyedFile:
    """A file with its pictures in order; of a file with several only the chosen ones stay."""
    kept = sorted(pictures, key=lambda each: each.slice.index)
    if len(kept) > 1:
        kept = [each for each in kept if not (each.reason or "").startswith(LEFT_OUT)]
    if len(kept) > 1 and all(each.reason for each in kept):
        kept = [replace(kept[0], path=file.found.path)]
    return SurveyedFile(file.kind, file.sha256, file.n_bytes, tuple(kept))
