"""What files turned out to be, remembered by their content: a file met again is hashed, not decoded."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np

DECODERS = ("opencv-python-headless", "pillow", "simplejpeg")

SIDE = 64


@dataclass(frozen=True)
class Facts:
    """What decoding a content showed: columns of the manifest, and its thumbnail (uint8 64×64) if it was accepted."""

    format: str | None
    height: int | None
    width: int | None
    channels: int | None
    stored_channels: int | None
    pixel_crc32: str | None
    reason: str | None
    thumbnail: np.ndarray | None


COLUMNS = tuple(field.name for field in fields(Facts))


class FactsCache:
    """Facts by SHA-256 in one SQLite file, safe to kill, to share between processes and to delete at any time;
    without a folder, for this run alone.

    A cache that cannot be read or written is no cache: it never fails a run. Facts belong to the code and the decoders
    that found them; others have another file.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = Lock()
        self._connection = open_or_make(folder / f"{reader_digest()}.sqlite") if folder else connect(":memory:")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, sha256: str) -> Facts | None:
        try:
            with self._lock:
                row = self._connection.execute("SELECT * FROM facts WHERE sha256 = ?", (sha256,)).fetchone()
        except sqlite3.Error:
            return None
        if row is None:
            return None
        values = dict(zip(COLUMNS, row[1:], strict=True))
        image = values.pop("thumbnail")
        return Facts(**values, thumbnail=np.frombuffer(image, np.uint8).reshape(SIDE, SIDE) if image else None)

    def put(self, found: Iterable[tuple[str, Facts]]) -> None:
        rows = [
            (sha256, *astuple(facts)[:-1], None if facts.thumbnail is None else facts.thumbnail.tobytes())
            for sha256, facts in found
        ]
        with contextlib.suppress(sqlite3.Error), self._lock, self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def open_or_make(file: Path) -> sqlite3.Connection:
    with contextlib.suppress(sqlite3.Error, OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        return connect(file)
    with contextlib.suppress(sqlite3.Error, OSError):
        file.unlink(missing_ok=True)  # damaged
        return connect(file)
    return connect(":memory:")


def connect(file: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS facts (sha256 TEXT PRIMARY KEY, format TEXT, height INTEGER, width INTEGER, "
        "channels INTEGER, stored_channels INTEGER, pixel_crc32 TEXT, reason TEXT, thumbnail BLOB)"
    )
    connection.execute("SELECT * FROM facts LIMIT 1")
    return connection


def reader_digest() -> str:
    """Changes with the code that reads images and with the decoders' versions."""
    code = b"".join((Path(__file__).parent / name).read_bytes() for name in ("reading.py", "cache.py"))
    return hashlib.sha256(code + repr([installed(name) for name in DECODERS]).encode()).hexdigest()[:16]


def installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
