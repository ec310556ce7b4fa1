"""The listing of a scoring run: every file found, with the slices of volumes, kept on disk and cut into shards."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mri_model.data.hidden_paths import HiddenPaths
from mri_model.data.listing import FoundFile, refusal, require_folder, walk
from mri_model.data.medical.kinds import may_be_medical
from mri_model.data.medical.slices import Slice, split_slice
from mri_model.data.medical.survey import Picture, SurveyedFile
from mri_model.data.parallel import chunks
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.errors import MriError
from mri_model.files import atomic

SHARD_FILES = 128
"""Files and slices of a shard, which is scored by one worker and committed at once: two batches of the network."""

DIGEST_LENGTH = 16

WANTED = "give a folder of images to score"

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("file", pa.binary()),
        ("reason", pa.string()),
        ("slice", pa.string()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("series", pa.string()),
        ("patient", pa.string()),
        ("sha256", pa.string()),
    ]
)


class ListedFile(NamedTuple):
    """A file of a scoring run, or a slice of one.

    Attributes:
        path: Absolute, POSIX, unique: the path that its row shows.
        file: The path as the operating system knows it.
        reason: Why it is rejected unread; None if it is to be read.
        slice: Which picture of a DICOM or NIfTI file it is (``Slice.name``); None for a plain image, as is all that
            follows.
        low, high: The values that are shown black and white; None if the file itself says how it is shown.
        series: Pseudonym of the series.
        patient: Pseudonym of the patient, or a subject's name; None if there is none.
        sha256: Of the file, when it was surveyed.
    """

    path: str
    file: bytes
    reason: str | None
    slice: str | None = None
    low: float | None = None
    high: float | None = None
    series: str | None = None
    patient: str | None = None
    sha256: str | None = None

    @property
    def picture(self) -> Slice | None:
        """What decoding needs to know; None for a plain image."""
        if self.slice is None:
            return None
        return Slice(self.slice, None if self.low is None or self.high is None else (self.low, self.high))


@dataclass(frozen=True)
class Reading:
    """How a folder is read.

    Attributes:
        pseudonyms: Replaces the identifiers in DICOM files; by default with a key that is kept nowhere.
        cache: Folder of the caches; None for no cache.
        hidden: Puts keyed hashes in place of paths; None: paths are shown.
    """

    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    cache: Path | None = None
    hidden: HiddenPaths | None = None

    def shown_folder(self, folder: Path) -> str:
        """The name of a folder in rows."""
        place = folder.resolve().as_posix()
        return self.hidden.hide([place])[place] if self.hidden else place

    def shown_files(self, folder: Path) -> Mapping[str, str] | None:
        """Path below a folder → its name in rows; None: they are shown as they are."""
        return self.hidden.hide(found.path for found in walk(folder)) if self.hidden else None


@dataclass(frozen=True)
class Listing:
    """What was listed.

    Attributes:
        folder: The listed folder, resolved.
        digest: SHA-256 (16 hex digits) of all paths, sizes and times of last change: the same for an unchanged folder.
        n_files: Number of files, of which each slice of a volume counts as one.
    """

    folder: Path
    digest: str
    n_files: int

    @property
    def shard_sizes(self) -> list[int]:
        """Number of files of each shard."""
        return [min(SHARD_FILES, self.n_files - start) for start in range(0, self.n_files, SHARD_FILES)]


def write_listing(
    folder: Path, file: Path, surveyed: Mapping[str, SurveyedFile] | None = None, reading: Reading | None = None
) -> Listing:
    """List every file below ``folder`` into a Parquet file with one row group per shard.

    Args:
        surveyed: The DICOM and NIfTI files among them, by their paths below the folder (``survey.survey``).
        reading: How the folder is read.

    Raises:
        MriError: If the folder is missing, is a file or has no file.
    """
    base = require_folder(folder, WANTED)
    names = Names.of(base, surveyed or {}, reading or Reading())
    digest, n_files = hashlib.sha256(), 0

    def rows() -> Iterator[ListedFile]:
        for found in walk(base):
            digest.update(state_of(found))
            yield from listed(found, names)

    with atomic(file) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        for shard in chunks(rows(), SHARD_FILES):
            n_files += len(shard)
            writer.write_table(pa.Table.from_pylist([row._asdict() for row in shard], SCHEMA))
    if not n_files:
        raise MriError(f"{folder} has no files", WANTED)
    return Listing(base, digest.hexdigest()[:DIGEST_LENGTH], n_files)


@dataclass(frozen=True)
class Names:
    """What rows show of a folder's files.

    Attributes:
        folder: Name of the folder.
        surveyed: The DICOM and NIfTI files, by their paths below the folder.
        files: Path below the folder → its name, for the files that were there at first; None: as it is.
        reading: How the folder is read.
    """

    folder: str
    surveyed: Mapping[str, SurveyedFile]
    files: Mapping[str, str] | None
    reading: Reading

    @classmethod
    def of(cls, base: Path, surveyed: Mapping[str, SurveyedFile], reading: Reading) -> Self:
        return cls(reading.shown_folder(base), surveyed, reading.shown_files(base), reading)

    def path(self, path: str) -> str:
        """The name of a file, without a slice."""
        return f"{self.folder}/{self._own(path)}"

    def _own(self, path: str) -> str:
        if self.files is None or self.reading.hidden is None:
            return with_own_name(path, self.surveyed)
        return self.files.get(path) or self.reading.hidden.hide([path])[path]  # one that has come since

    def patient(self, picture: Picture, file: SurveyedFile) -> str | None:
        """The patient of a picture; one whom the path of a NIfTI file names is hidden with the path."""
        patient = picture.source.patient
        is_hidden = patient and self.files is not None and file.kind == "NIfTI"
        return self.reading.pseudonyms.of("person", str(patient)) if is_hidden else patient


def listed(found: FoundFile, names: Names) -> Iterator[ListedFile]:
    """The rows of one file."""
    file, own = names.surveyed.get(found.path), names.path(found.path)
    if file is None:
        yield ListedFile(own, found.file, refusal(found))
        return
    for picture in file.pictures:
        path = own + picture.path.removeprefix(found.path)
        low, high = picture.slice.window or (None, None)
        series, patient = series_of(picture, file, own, names.reading.pseudonyms), names.patient(picture, file)
        yield ListedFile(path, found.file, picture.reason, picture.slice.name, low, high, series, patient, file.sha256)


def with_own_name(path: str, surveyed: Mapping[str, SurveyedFile]) -> str:
    """A file's path; with an escape if it is that of another file's slice: ``a.nii#z=3`` beside ``a.nii``."""
    other, name = split_slice(path)
    return f"{other}\\x23{name}" if name and other in surveyed else path


def series_of(picture: Picture, file: SurveyedFile, path: str, pseudonyms: Pseudonyms) -> str | None:
    """The series of a picture. That of a NIfTI file is named after its whole path: folders are scored one by one."""
    is_volume = file.kind == "NIfTI" and picture.source.series is not None
    return pseudonyms.of("file", path) if is_volume else picture.source.series


@dataclass(frozen=True)
class FolderState:
    """What a folder holds at a moment.

    Attributes:
        digest: As in ``Listing``.
        n_files: Number of files.
        newest: When the last of its files was written, renamed or given other attributes, in seconds since 1970. By the
            inode's time (ctime), which an upload that keeps the files' own times cannot set back.
    """

    digest: str
    n_files: int
    newest: float


def state_of_folder(folder: Path) -> FolderState:
    """The state of a folder, without keeping its listing."""
    return scan_folder(folder)[0]


def scan_folder(folder: Path) -> tuple[FolderState, list[FoundFile]]:
    """The state of a folder, and those of its files that may be DICOM or NIfTI. No file is opened."""
    digest, n_files, newest = hashlib.sha256(), 0, 0.0
    candidates = []
    for found in walk(require_folder(folder, WANTED)):
        digest.update(state_of(found))
        n_files += 1
        if may_be_medical(found.path) and not refusal(found):
            candidates.append(found)
        with suppress(OSError):
            newest = max(newest, Path(os.fsdecode(found.file)).lstat().st_ctime)
    return FolderState(digest.hexdigest()[:DIGEST_LENGTH], n_files, newest), candidates


def state_of(found: FoundFile) -> bytes:
    """A file's path, size and time of last change; of a file that is gone by now the path alone."""
    try:
        status = Path(os.fsdecode(found.file)).lstat()
    except OSError:
        return found.file + b"\0\0"
    return found.file + f"\0{status.st_size} {status.st_mtime_ns}\0".encode()


def read_shard(file: Path, number: int) -> list[ListedFile]:
    """The files of a shard, counted from 0."""
    with pq.ParquetFile(file) as listing:
        return [ListedFile(**row) for row in listing.read_row_group(number).to_pylist()]
