"""Cache of image facts by file content: a known file is hashed but not decoded again."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import numpy as np

from mri_model.data.decode import DECODE_VERSION
from mri_model.data.formats import FORMATS
from mri_model.data.hog import HOG_LENGTH
from mri_model.data.thumbnails import THUMBNAIL_SIZE
from mri_model.files import digest_of

Row = tuple[Any, ...]
"""Values of one row of the table ``facts`` without its SHA-256, in the order of ``COLUMNS``."""

DECODERS = ("opencv-python-headless", "pillow", "simplejpeg")

MEDICAL_DECODERS = ("pydicom", "highdicom", "python-gdcm", "pylibjpeg-openjpeg", "pyjpegls", "nibabel")


@dataclass(frozen=True)
class ImageFacts:
    """What decoding a file showed. The fields but the arrays are columns of the manifest.

    Attributes:
        format: A key of ``FORMATS``; None if the file is not such an image.
        height: In pixels, upright; None if rejected.
        width: In pixels, upright; None if rejected.
        channels: As decoded; None if rejected.
        stored_channels: In the file; None if the format is None.
        pixel_crc32: CRC-32 of ``cell_sums``, 8 hex digits; None if rejected. Equal if the grey pixels are equal.
        reason: Why the file is rejected; None if it is accepted.
        thumbnail: uint8 of shape (64, 64); None if rejected.
        descriptor: HOG descriptor, uint8 of shape (1296,); None if rejected.
    """

    format: str | None
    height: int | None
    width: int | None
    channels: int | None
    stored_channels: int | None
    pixel_crc32: str | None
    reason: str | None
    thumbnail: np.ndarray | None
    descriptor: np.ndarray | None


COLUMNS = tuple(field.name for field in fields(ImageFacts))

ARRAYS = {"thumbnail": (THUMBNAIL_SIZE, THUMBNAIL_SIZE), "descriptor": (HOG_LENGTH,)}
"""Shapes of the columns that hold uint8 arrays."""


class SqliteCache:
    """One SQLite file for each ``cache_key``; with a folder of None nothing is cached.

    Several processes may use it at once, and its files may be deleted at any time. A cache that cannot be read or
    written is ignored.
    """

    def __init__(self, folder: Path | None) -> None:
        """Open or create the cache in ``folder``."""
        self._connection = open_or_make(folder / f"{cache_key()}.sqlite") if folder else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    def query(self, sql: str, values: Sequence[str] = ()) -> list[Any]:
        """The rows of a query; none if the cache cannot be read."""
        try:
            return self._connection.execute(sql, values).fetchall() if self._connection else []
        except sqlite3.Error:
            return []

    def insert(self, sql: str, rows: Sequence[Row]) -> None:
        """Insert rows; nothing happens if the cache cannot be written."""
        if self._connection:
            with contextlib.suppress(sqlite3.Error), self._connection:
                self._connection.executemany(sql, rows)


class ImageFactsCache(SqliteCache):
    """``ImageFacts`` by SHA-256, for a picture of a DICOM or NIfTI file followed by which one it is.

    Attributes:
        known: The contents that were cached when the cache was opened.
    """

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder)
        self.known = frozenset(row[0] for row in self.query("SELECT sha256 FROM facts"))

    def get(self, contents: Iterable[str]) -> dict[str, ImageFacts]:
        """Cached facts by SHA-256; contents that are not cached are left out.

        Args:
            contents: SHA-256 digests, at most a few hundred.
        """
        wanted = list(set(contents))
        rows = self.query(f"SELECT * FROM facts WHERE sha256 IN ({', '.join('?' * len(wanted))})", wanted)
        found = {}
        for row in rows:
            with contextlib.suppress(ValueError, TypeError):  # a damaged row counts as not cached
                found[row[0]] = from_row(row[1:])
        return found

    def put(self, found: Iterable[tuple[str, ImageFacts]]) -> None:
        """Add facts by SHA-256; existing rows stay."""
        rows = [(sha256, *as_row(facts)) for sha256, facts in found]
        self.insert(f"INSERT OR IGNORE INTO facts VALUES (?{', ?' * len(COLUMNS)})", rows)


def from_row(values: Row) -> ImageFacts:
    """Facts from a row. Raises ValueError or TypeError if the row is damaged."""
    columns = dict(zip(COLUMNS, values, strict=True))
    for name, shape in ARRAYS.items():
        columns[name] = np.frombuffer(columns[name], np.uint8).reshape(shape) if columns[name] else None
    return ImageFacts(**columns)


def as_row(facts: ImageFacts) -> Iterator[object]:
    """The values of a row, arrays as bytes."""
    for column in COLUMNS:
        value = getattr(facts, column)
        yield value.tobytes() if isinstance(value, np.ndarray) else value


def open_or_make(file: Path) -> sqlite3.Connection:
    """Open or create the file; replace it if it is damaged; use memory if the folder cannot be written."""
    with contextlib.suppress(sqlite3.Error, OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        return connect(file)
    with contextlib.suppress(sqlite3.Error, OSError):
        file.unlink(missing_ok=True)
        return connect(file)
    return connect(":memory:")


def connect(file: Path | str) -> sqlite3.Connection:
    """Open a file and create the tables if needed. Raises sqlite3.Error if the file is damaged."""
    connection = sqlite3.connect(file, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS facts (sha256 TEXT PRIMARY KEY, format TEXT, height INTEGER, width INTEGER, "
        "channels INTEGER, stored_channels INTEGER, pixel_crc32 TEXT, reason TEXT, thumbnail BLOB, descriptor BLOB)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS looks (sha256 TEXT PRIMARY KEY, look TEXT)")
    connection.execute("SELECT * FROM facts LIMIT 1")
    return connection


def cache_key() -> str:
    """Identifies everything that decoding depends on: ``DECODE_VERSION``, the formats and the decoders' versions."""
    return digest_of([DECODE_VERSION, FORMATS, [installed(name) for name in (*DECODERS, *MEDICAL_DECODERS)]])


def installed(distribution: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
