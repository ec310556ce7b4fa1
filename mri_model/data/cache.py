"""What files turned out to be, cached by their content: a file met again is hashed, not decoded."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import numpy as np

from mri_model.data.decode import DECODE_VERSION, THUMBNAIL_SIZE
from mri_model.data.formats import FORMATS
from mri_model.files import digest_of

DECODERS = ("opencv-python-headless", "pillow", "simplejpeg")


@dataclass(frozen=True)
class ImageFacts:
    """What decoding a content showed: columns of the manifest, and its thumbnail (uint8 64×64) if it was accepted."""

    format: str | None
    height: int | None
    width: int | None
    channels: int | None
    stored_channels: int | None
    pixel_crc32: str | None
    reason: str | None
    thumbnail: np.ndarray | None


COLUMNS = tuple(field.name for field in fields(ImageFacts))


class ImageFactsCache:
    """ImageFacts by SHA-256 in one SQLite file, safe to kill, to share between processes and to delete at any time.

    A cache that cannot be read or written is ignored and never fails a run. Each ``cache_key`` has a file of its own.
    Without a folder nothing is cached. ``known`` holds the SHA-256 of what was cached when it was opened.
    """

    def __init__(self, folder: Path | None) -> None:
        self._connection = open_or_make(folder / f"{cache_key()}.sqlite") if folder else None
        self.known = frozenset(row[0] for row in self._query("SELECT sha256 FROM facts"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    def get(self, contents: Iterable[str]) -> dict[str, ImageFacts]:
        """What is cached of some contents, a few hundred at most."""
        wanted = list(set(contents))
        rows = self._query(f"SELECT * FROM facts WHERE sha256 IN ({', '.join('?' * len(wanted))})", wanted)
        found = {}
        for row in rows:
            with contextlib.suppress(ValueError, TypeError):  # what does not fit is not cached
                found[row[0]] = from_row(row[1:])
        return found

    def put(self, found: Iterable[tuple[str, ImageFacts]]) -> None:
        if self._connection:
            rows = [(sha256, *as_row(facts)) for sha256, facts in found]
            with contextlib.suppress(sqlite3.Error), self._connection:
                self._connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _query(self, sql: str, values: Sequence[str] = ()) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall() if self._connection else []
        except sqlite3.Error:
            return []


def from_row(values: tuple[Any, ...]) -> ImageFacts:
    fields = dict(zip(COLUMNS, values, strict=True))
    image = fields.pop("thumbnail")
    return ImageFacts(
        **fields, thumbnail=np.frombuffer(image, np.uint8).reshape(THUMBNAIL_SIZE, THUMBNAIL_SIZE) if image else None
    )


def as_row(facts: ImageFacts) -> Iterator[object]:
    for column in COLUMNS:
        value = getattr(facts, column)
        yield value.tobytes() if isinstance(value, np.ndarray) else value


def open_or_make(file: Path) -> sqlite3.Connection:
    with contextlib.suppress(sqlite3.Error, OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        return connect(file)
    with contextlib.suppress(sqlite3.Error, OSError):
        file.unlink(missing_ok=True)  # damaged
        return connect(file)
    return connect(":memory:")


def connect(file: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS facts (sha256 TEXT PRIMARY KEY, format TEXT, height INTEGER, width INTEGER, "
        "channels INTEGER, stored_channels INTEGER, pixel_crc32 TEXT, reason TEXT, thumbnail BLOB)"
    )
    connection.execute("SELECT * FROM facts LIMIT 1")
    return connection


def cache_key() -> str:
    """Changes with ``DECODE_VERSION``, with the list of formats and with the decoders' versions."""
    return digest_of([DECODE_VERSION, FORMATS, [installed(name) for name in DECODERS]])


def installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
