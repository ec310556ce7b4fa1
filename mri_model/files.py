"""Files: written under a temporary name and then renamed, locks between processes, JSON, digests and run ids."""

import errno
import hashlib
import json
import math
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOCK_SECONDS = 0.5
"""How long to wait for a lock: longer than ``is_locked`` holds it."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``. On success it is flushed to disk and renamed to ``path``.

    A reader sees the old file or the new one, never a part. After an exception ``path`` is as it was.

    Raises:
        OSError: If ``path`` cannot be written, or is a device, pipe or socket: a rename would put a file in its place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def lock_of(file: Path) -> FileLock:
    """A lock on ``file`` between processes. The operating system releases it when its holder exits or dies.

    The lock file stays after release: if it were removed, a process that had opened it before and one that creates it
    anew would both get the lock.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file, preserve_lock_file=True)


@contextmanager
def exclusive_lock(folder: Path, busy: Exception) -> Iterator[None]:
    """Take an exclusive lock on ``folder``, which is created if needed. Released when the process exits.

    Hidden files in the folder are removed: a killed writer left them half-written.

    Args:
        folder: The folder to write.
        busy: What to raise if another process, or another caller in this one, holds the lock.
    """
    lock = lock_of(lock_file(folder))
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise busy from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_hidden_files(folder)
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether somebody holds the ``exclusive_lock`` on ``folder``."""
    return is_held(lock_file(folder))


def is_held(file: Path) -> bool:
    """Whether somebody holds the ``lock_of`` a file."""
    lock = lock_of(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def lock_file(folder: Path) -> Path:
    """The lock file of a folder: beside it, so that the folder holds only its contents."""
    return folder.parent / ".locks" / f"{folder.name}.lock"


def remove_hidden_files(folder: Path) -> None:
    for file in folder.glob(".*"):
        if not file.is_dir():
            file.unlink()


def is_older(path: Path, source: Path) -> bool:
    """Whether ``path`` is missing or was written before ``source``."""
    return not path.is_file() or path.stat().st_mtime_ns < source.stat().st_mtime_ns


def safe_name(name: str) -> str:
    """``name`` as a part of a file name: letters, digits, dots, dashes and underscores, at most 100 characters."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100] or "_"


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON; NaN and infinities become null."""
    write_text(path, json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """``value`` with null in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def digest_of(value: Any) -> str:
    """SHA-256 (16 hex digits) of a JSON-serialisable value, independent of key order."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def run_id(kind: str) -> str:
    """A unique id that sorts by time (UTC), e.g. ``score-20261123T180501-3f2a9c``."""
    return f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
