"""Read the files of a folder: one row for every image, with its facts or the reason why it is rejected.

A file is one image, or none; only DICOM and NIfTI files may hold several, each with a row.
"""

import posixpath
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from mri_model.data.cache import ImageFacts, ImageFactsCache
from mri_model.data.convertible import KINDS
from mri_model.data.decode import Content, DecodedImage, decode, load_content, to_grey
from mri_model.data.fingerprints import Fingerprints, describe
from mri_model.data.header import NOT_AN_IMAGE
from mri_model.data.listing import FoundFile, list_files, refusal
from mri_model.data.medical.choice import SliceChoice
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.survey import Picture, SurveyedFile, survey
from mri_model.data.parallel import chunks, ordered_map
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.progress import ProgressCallback, with_progress

CHANNELS = 3
"""Number of channels that every accepted image decodes to, for training and for scoring."""

UNKNOWN_EXTENSION = "unknown extension"

MEDICAL_EXTENSIONS = {
    ".dcm": "not a DICOM file, or its header is corrupt",
    ".nii": "not a NIfTI volume, or its header is corrupt",
}
"""Why a file of such a name is rejected that is not recognized as one."""

CHANGED = "it changed while the folder was read"

EXAMINATION = (
    "series",
    "patient",
    "window",
    "window_low",
    "window_high",
    "contrast_hint",
    "burned_in",
    "patient_number",
)
"""Columns that only DICOM and NIfTI fill. ``patient_number`` is for the table of labels, and is not kept."""

LOOKUP_ROWS = 256
"""Number of files for each query to the cache."""


@dataclass(frozen=True)
class Entry:
    """One image that was read.

    Attributes:
        found: The listed file.
        sha256: Of its bytes; empty if they could not be read.
        n_bytes: Its size.
        facts: What decoding showed; None if that is cached.
        picture: Which picture of a DICOM or NIfTI file it is; None for a plain image.
    """

    found: FoundFile
    sha256: str
    n_bytes: int
    facts: ImageFacts | None
    picture: Picture | None = None

    @property
    def key(self) -> str:
        """Identifies the facts in the cache; empty if there is nothing to keep."""
        return key_of(self.sha256, self.picture)

    @property
    def path(self) -> str:
        return self.picture.path if self.picture else self.found.path


def key_of(sha256: str, picture: Picture | None) -> str:
    return sha256 + picture.slice.key if sha256 and picture else sha256


def read_files(
    root: Path,
    extensions: tuple[str, ...],
    threads: int | None,
    progress: ProgressCallback,
    cache: Path | None,
    pseudonyms: Pseudonyms,
    choice: SliceChoice,
) -> tuple[pd.DataFrame, Fingerprints]:
    """One row for every image below ``root``, without labels, and the fingerprints."""
    files = list_files(root)
    surveyed = survey(files, pseudonyms, choice, threads, progress, cache)
    n_rows = sum(len(surveyed[found.path].pictures) if found.path in surveyed else 1 for found in files)
    rows: list[dict[str, object]] = []
    fingerprints = Fingerprints.zeros(n_rows)
    with ImageFactsCache(cache) as known_facts:
        known = known_facts.known
        read = ordered_map(lambda found: read_entries(found, surveyed.get(found.path), known), files, threads)
        entries = with_progress(chain.from_iterable(read), n_rows, "read", progress)
        for chunk in chunks(entries, LOOKUP_ROWS):
            for entry, facts in with_facts(chunk, known_facts):
                row = as_row(entry, facts, extensions)
                if row["status"] == "ok":
                    fingerprints.thumbnails[len(rows)] = facts.thumbnail
                    fingerprints.descriptors[len(rows)] = facts.descriptor
                rows.append(row)
    return pd.DataFrame(rows), fingerprints


def read_entries(found: FoundFile, surveyed: SurveyedFile | None, known: Set[str]) -> list[Entry]:
    """Read one listed file, and decode those of its images that are not among ``known``."""
    if surveyed:
        return read_pictures(found, surveyed, known)
    content = Content() if found.is_link else load_content(found.file)
    facts = None if content.sha256 in known else facts_of(decode(content, grey=True))
    return [Entry(found, content.sha256, content.n_bytes, facts)]


def read_pictures(found: FoundFile, surveyed: SurveyedFile, known: Set[str]) -> list[Entry]:
    """The pictures of a DICOM or NIfTI file; those that the survey has rejected are not read again."""
    wanted = [each for each in surveyed.pictures if not each.reason]
    unknown = [each for each in wanted if key_of(surveyed.sha256, each) not in known]
    facts = {each.path: rejected_facts(surveyed.kind, str(each.reason)) for each in surveyed.pictures if each.reason}
    if unknown:
        content = load_content(found.file)
        images = decode_slices(content, [each.slice for each in unknown])
        if content.sha256 != surveyed.sha256:
            images = [DecodedImage(format=surveyed.kind, reason=content.reason or CHANGED)] * len(unknown)
        facts |= {each.path: facts_of(image) for each, image in zip(unknown, images, strict=True)}
    return [Entry(found, surveyed.sha256, surveyed.n_bytes, facts.get(each.path), each) for each in surveyed.pictures]


def with_facts(entries: list[Entry], cache: ImageFactsCache) -> Iterator[tuple[Entry, ImageFacts]]:
    """Each entry with its facts, which come from the cache or are added to it."""
    cached = cache.get(entry.key for entry in entries if not entry.facts)
    cache.put((entry.key, entry.facts) for entry in entries if entry.facts and is_kept(entry))
    for entry in entries:
        yield entry, entry.facts or cached.get(entry.key) or facts_again(entry)


def is_kept(entry: Entry) -> bool:
    """Whether the facts follow from the file's bytes alone: a survey decides by other files too."""
    return bool(entry.sha256) and not (entry.picture and entry.facts and entry.facts.reason)


def facts_again(entry: Entry) -> ImageFacts:
    """The facts of an image that were in the cache and cannot be read from it."""
    content = load_content(entry.found.file)
    return facts_of(decode_slices(content, [entry.picture.slice])[0] if entry.picture else decode(content, grey=True))


def as_row(entry: Entry, facts: ImageFacts, extensions: tuple[str, ...]) -> dict[str, object]:
    """The row of one image, without label. ``extensions`` are lower case with their dot."""
    found, picture = entry.found, entry.picture
    convertible = facts.reason if facts.reason in KINDS.values() else None
    misnamed = None if picture else unknown_extension(found.path, extensions, facts.reason)
    reason = refusal(found) or convertible or misnamed or facts.reason
    return {
        "path": entry.path,
        "sha256": entry.sha256,
        "n_bytes": entry.n_bytes,
        "extension": posixpath.splitext(found.path)[1],
        "format": facts.format,
        "height": facts.height,
        "width": facts.width,
        "channels": facts.channels,
        "stored_channels": facts.stored_channels,
        "pixel_crc32": facts.pixel_crc32,
        "status": "rejected" if reason else "ok",
        "reason": reason,
        **examination(picture),
    }


def examination(picture: Picture | None) -> dict[str, object]:
    """The columns that only DICOM and NIfTI fill."""
    if picture is None:
        return dict.fromkeys(EXAMINATION)
    source, (low, high) = picture.source, picture.limits or (None, None)
    return {
        "series": source.series,
        "patient": source.patient,
        "window": picture.shown,
        "window_low": low,
        "window_high": high,
        "contrast_hint": source.contrast_hint,
        "burned_in": source.burned_in,
        "patient_number": source.patient_number,
    }


def rejected_facts(kind: str, reason: str) -> ImageFacts:
    return ImageFacts(kind, None, None, None, None, None, reason, None, None)


def facts_of(image: DecodedImage) -> ImageFacts:
    """Measure a decoded image, in grey or in colour."""
    if image.pixels is None:
        return ImageFacts(image.format, None, None, None, image.stored_channels, None, image.reason, None, None)
    plane = np.ascontiguousarray(image.pixels if image.pixels.ndim == 2 else to_grey(image.pixels))
    height, width = plane.shape
    sums, thumbnail, edges = describe(plane)
    crc = f"{zlib.crc32(sums.astype('<i8').tobytes()):08x}"
    return ImageFacts(image.format, height, width, CHANNELS, image.stored_channels, crc, None, thumbnail, edges)


def unknown_extension(path: str, extensions: tuple[str, ...], problem: str | None) -> str | None:
    """The reason to reject a file because of its extension; None if the extension is one of ``extensions``.

    Args:
        problem: Why it could not be decoded: that says more of a file called DICOM or NIfTI, such as that it is empty.
    """
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in extensions:
        return None
    if suffix in MEDICAL_EXTENSIONS:
        return MEDICAL_EXTENSIONS[suffix] if problem in (None, NOT_AN_IMAGE) else problem
    return f"{UNKNOWN_EXTENSION} {suffix}" if suffix else "no extension"
