"""The listing of a scoring run: every file found, kept on disk and cut into shards."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mri_model.data.listing import FoundFile, refusal, require_folder, walk
from mri_model.data.parallel import chunks
from mri_model.errors import MriError
from mri_model.files import atomic

SHARD_FILES = 128
"""Files of a shard, which is scored by one worker and committed at once: two batches of the network."""

DIGEST_LENGTH = 16

WANTED = "give a folder of images to score"

SCHEMA = pa.schema([("path", pa.string()), ("file", pa.binary()), ("reason", pa.string())])


class ListedFile(NamedTuple):
    """A file of a scoring run.

    Attributes:
        path: Absolute, POSIX, unique: the path that its row shows.
        file: The path as the operating system knows it.
        reason: Why it is rejected unread; None if it is to be read.
    """

    path: str
    file: bytes
    reason: str | None


@dataclass(frozen=True)
class Listing:
    """What was listed.

    Attributes:
        folder: The listed folder, resolved.
        digest: SHA-256 (16 hex digits) of all paths, sizes and times of last change: the same for an unchanged folder.
        n_files: Number of files.
    """

    folder: Path
    digest: str
    n_files: int

    @property
    def shard_sizes(self) -> list[int]:
        """Number of files of each shard."""
        return [min(SHARD_FILES, self.n_files - start) for start in range(0, self.n_files, SHARD_FILES)]


def write_listing(folder: Path, file: Path) -> Listing:
    """List every file below ``folder`` into a Parquet file with one row group per shard.

    Raises:
        MriError: If the folder is missing, is a file or has no file.
    """
    base = require_folder(folder, WANTED)
    digest, n_files = hashlib.sha256(), 0
    with atomic(file) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        for shard in chunks(walk(base), SHARD_FILES):
            for found in shard:
                digest.update(state_of(found))
            n_files += len(shard)
            rows = [ListedFile(f"{base.as_posix()}/{found.path}", found.file, refusal(found)) for found in shard]
            writer.write_table(pa.Table.from_pylist([row._asdict() for row in rows], SCHEMA))
    if not n_files:
        raise MriError(f"{folder} has no files", WANTED)
    return Listing(base, digest.hexdigest()[:DIGEST_LENGTH], n_files)


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
    digest, n_files, newest = hashlib.sha256(), 0, 0.0
    for found in walk(require_folder(folder, WANTED)):
        digest.update(state_of(found))
        n_files += 1
        with suppress(OSError):
            newest = max(newest, Path(os.fsdecode(found.file)).lstat().st_ctime)
    return FolderState(digest.hexdigest()[:DIGEST_LENGTH], n_files, newest)


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
