"""Look into the DICOM and NIfTI files of a folder: which pictures they hold, and which of these become images.

All files are looked at before the first image is made, because the files of a DICOM series make one volume.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mri_model.data.decode import Content, load_content
from mri_model.data.header import UndecodableError
from mri_model.data.listing import FoundFile, refusal
from mri_model.data.medical.choice import AXIAL_SLICES, LEFT_OUT, SliceChoice, choose
from mri_model.data.medical.kinds import EXTRA, FIRST_BYTES, Kind, is_installed, kind_of, may_be_medical
from mri_model.data.medical.slices import SUFFIX, Slice, with_slice
from mri_model.data.medical.window import FILE_WINDOW, PERCENTILES, Window, levels, percentile_window, share_above
from mri_model.data.parallel import ordered_map
from mri_model.data.preprocessing import BRIGHT
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.progress import ProgressCallback, no_progress, with_progress

if TYPE_CHECKING:
    from mri_model.data.medical.dicom import DicomFile
    from mri_model.data.medical.dicom_header import DicomHeader

FILES_PER_TASK = 4


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


@dataclass(frozen=True)
class Measured:
    """A picture before it is decided whether it becomes an image.

    Attributes:
        bright: Share of its pixels brighter than ``BRIGHT`` as the file says it is shown; None if it does not say.
        brief: Its ``levels`` where the file does not say how it is shown.
        order: Sorts the pictures of a volume.
        plane: ``axial``, ``coronal`` or ``sagittal``; None if the file has no orientation.
        inverted: Whether low values are shown bright.
    """

    picture: Picture
    bright: float | None
    brief: NDArray[np.float32] | None
    order: tuple[float, float, str] = (0.0, 0.0, "")
    plane: str | None = None
    inverted: bool = False


@dataclass
class OpenFile:
    """A file whose pictures wait for the other files of their series."""

    kind: Kind
    sha256: str
    n_bytes: int
    waiting: list[Measured] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def survey(
    files: Iterable[FoundFile],
    pseudonyms: Pseudonyms,
    choice: SliceChoice = AXIAL_SLICES,
    threads: int | None = None,
    progress: ProgressCallback = no_progress,
) -> dict[str, SurveyedFile]:
    """Look into all files that may be DICOM or NIfTI.

    Args:
        files: Any files of a folder.
        pseudonyms: Replaces the identifiers.
        choice: Which slices become images.
        threads: Number of threads; by default one per core.
        progress: Called with the stage ``survey`` if there are such files.

    Returns:
        By the path of the file; files that are neither DICOM nor NIfTI are missing.
    """
    candidates = [found for found in files if may_be_medical(found.path) and not refusal(found)]
    if not candidates:
        return {}
    measured = ordered_map(lambda found: measure(found, pseudonyms, choice), candidates, threads, FILES_PER_TASK)
    opened = {
        found.path: each
        for found, each in zip(candidates, with_progress(measured, len(candidates), "survey", progress), strict=True)
        if each
    }
    decide(opened, choice)
    return {path: finished(path, each) for path, each in opened.items()}


def finished(path: str, file: OpenFile) -> SurveyedFile:
    pictures = sorted(file.pictures, key=lambda each: each.slice.index)
    if len(pictures) > 1:  # of a volume in one file only the chosen slices have rows
        pictures = [each for each in pictures if not (each.reason or "").startswith(LEFT_OUT)]
    if len(pictures) > 1 and all(each.reason for each in pictures):
        pictures = [replace(pictures[0], path=path)]
    return SurveyedFile(file.kind, file.sha256, file.n_bytes, tuple(pictures))


def measure(found: FoundFile, pseudonyms: Pseudonyms, choice: SliceChoice) -> OpenFile | None:
    """Look into one file; None if it is neither DICOM nor NIfTI."""
    content = load_content(found.file) if is_medical(found) else None
    kind = kind_of(content.data[:FIRST_BYTES]) if content else None
    if content is None or kind is None:
        return None
    opened = OpenFile(kind, content.sha256, content.n_bytes)
    try:
        if SUFFIX.search(found.path):
            raise UndecodableError("its name ends like that of a slice: rename it")
        if not is_installed(kind):
            raise UndecodableError(f"a {kind} file: to read it, {EXTRA}")
        if kind == "DICOM":
            measure_dicom(opened, found.path, content, pseudonyms)
        else:
            measure_nifti(opened, found.path, content, pseudonyms, choice)
    except UndecodableError as error:
        opened.waiting.clear()
        opened.pictures = [Picture(found.path, Slice("", None), reason=str(error))]
    return opened


def is_medical(found: FoundFile) -> bool:
    """Whether the first bytes of a file are those of DICOM or NIfTI."""
    return kind_of(read_start(found.file)) is not None


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


def measure_dicom(opened: OpenFile, path: str, content: Content, pseudonyms: Pseudonyms) -> None:
    """Raises UndecodableError if the file cannot be used as a whole."""
    from mri_model.data.medical.dicom import DicomFile

    file = DicomFile(content.data)
    source = source_of(file.header, content.sha256, pseudonyms)
    n_frames = file.header.n_frames
    for frame in range(n_frames):
        name = f"frame={frame + 1}" if n_frames > 1 else ""
        shown, limits = file.window(frame)
        picture = Picture(with_slice(path, name), Slice(name, None), shown, limits, source)
        try:
            opened.waiting.append(measure_frame(file, frame, picture))
        except UndecodableError as error:
            opened.pictures.append(replace(picture, reason=str(error)))


def measure_frame(file: "DicomFile", frame: int, picture: Picture) -> Measured:
    plane, position = file.header.place(frame) or (None, 0.0)
    order = (position, file.header.number + frame, picture.path)
    if picture.shown != PERCENTILES:
        grey = file.grey(frame, None)
        return Measured(picture, float((grey > BRIGHT).mean()), None, order, plane)
    return Measured(picture, None, levels(file.modality_values(frame)), order, plane, file.header.is_inverted)


def source_of(header: "DicomHeader", sha256: str, pseudonyms: Pseudonyms) -> Source:
    """The examination of a DICOM file.

    A file without PatientID is of the patient of its study; one without a series is a series of its own.
    """
    who = header.identifiers
    known = ("patient", who.patient, who.issuer) if who.patient else ("study", who.study) if who.study else None
    return Source(
        series=pseudonyms.of("series", who.series) if who.series else pseudonyms.of("file", sha256),
        patient=pseudonyms.of(*known) if known else None,
        patient_number=pseudonyms.of("number", who.patient) if who.patient else None,
        contrast_hint=header.acquisition.contrast(),
        burned_in=header.burned_in,
    )


def measure_nifti(opened: OpenFile, path: str, content: Content, pseudonyms: Pseudonyms, choice: SliceChoice) -> None:
    """Raises UndecodableError if the file cannot be used as a whole."""
    from mri_model.data.medical.nifti import SEGMENTATIONS, NiftiVolume

    if stem(path).lower().endswith(SEGMENTATIONS):
        raise UndecodableError("a segmentation, by its name")
    volume = NiftiVolume(content.data, choice.axis)
    briefs = [levels(volume.values(index)) for index in range(volume.n_slices)]
    window = volume.window or percentile_window(briefs)
    reasons = choose([share_above(brief, window, BRIGHT) for brief in briefs], choice)
    source = Source(pseudonyms.of("file", path), bids_subject(path))
    shown = FILE_WINDOW if volume.window else PERCENTILES
    for index, reason in enumerate(reasons):
        part = Slice(volume.name(index), window)
        opened.pictures.append(Picture(with_slice(path, part.name), part, shown, window, source, reason))


def stem(path: str) -> str:
    """The name of a file without ``.nii`` and ``.gz``."""
    return PurePosixPath(path).name.removesuffix(".gz").removesuffix(".nii")


def bids_subject(path: str) -> str | None:
    """The subject that a path names in the manner of BIDS, such as ``sub-003``; None if it names none."""
    parts = [part.split("_")[0].split(".")[0] for part in reversed(PurePosixPath(path).parts)]
    return next((part for part in parts if part.startswith("sub-") and len(part) > 4), None)


def decide(files: Mapping[str, OpenFile], choice: SliceChoice) -> None:
    """Decide about the pictures that wait: those of a file with several together, and those of a series."""
    volumes: dict[Any, list[tuple[OpenFile, Measured]]] = defaultdict(list)
    for path, file in files.items():
        for each in file.waiting:
            source = each.picture.source
            volume = path if len(file.waiting) > 1 else (source.series, source.patient)
            volumes[volume].append((file, each))
        file.waiting = []
    for members in volumes.values():
        members.sort(key=lambda member: member[1].order)
        for (file, _), picture in zip(members, decided([each for _, each in members], choice), strict=True):
            file.pictures.append(picture)


def decided(volume: Sequence[Measured], choice: SliceChoice) -> list[Picture]:
    """The pictures of a volume with their windows, and the reasons why some are left out."""
    briefs = [each.brief for each in volume if each.brief is not None]
    window = percentile_window(briefs) if briefs else None
    pictures = [with_window(each, window) for each in volume]
    planes = {each.plane for each in volume if each.plane}
    if len(planes) > 1:
        return [replace(each, reason="a localizer: a series of several planes") for each in pictures]
    if planes and planes != {choice.axis}:
        why = f"a {planes.pop()} series: {choice.axis} slices are taken"
        return [replace(each, reason=why) for each in pictures]
    if not planes and all(each.picture.slice.name == "" for each in volume):
        return pictures  # single images without geometry, such as screenshots
    bright = [each.bright if each.bright is not None else brightness(each, window) for each in volume]
    return [replace(each, reason=why) for each, why in zip(pictures, choose(bright, choice), strict=True)]


def with_window(measured: Measured, window: Window | None) -> Picture:
    if measured.brief is None:
        return measured.picture
    return replace(measured.picture, slice=replace(measured.picture.slice, window=window), limits=window)


def brightness(measured: Measured, window: Window | None) -> float:
    if measured.brief is None or window is None:
        return 0.0
    if measured.inverted:
        return 1 - share_above(measured.brief, window, 255 - BRIGHT - 1)
    return share_above(measured.brief, window, BRIGHT)
