"""Opening a results database: engines for SQLite and PostgreSQL, and the checks before anything is written."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from mri_model.errors import MriError
from mri_model.results import upgrade
from mri_model.results.failures import translated_errors
from mri_model.results.url import is_sqlite, parse, shown, sqlite_file

BUSY_SECONDS = 30
CONNECT_SECONDS = 5


def connect(url: str | URL) -> Engine:
    """Open the database at ``url`` and bring its tables and views up to date.

    A SQLite file that this process cannot write is opened for reading, if its tables are up to date.

    Raises:
        UnavailableError: The database does not answer now, and may answer later.
        MriError: It cannot be used: not a database, of another program, too new, too old to read without an upgrade,
            or without Unicode.
    """
    parsed = parse(url)
    read_only = is_read_only(parsed)
    _make_folder(parsed)
    engine = _read_only_engine(parsed) if read_only else _engine(parsed)
    try:
        with translated_errors(parsed):
            _prepare(engine, parsed, read_only)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it or nothing."""
    with engine.execution_options(writes=True).begin() as connection:
        yield connection


def is_read_only(url: URL) -> bool:
    """Whether ``url`` is an existing SQLite file that this process may not write to, or in such a folder.

    SQLite writes other files beside the database, so the folder counts too.
    """
    file = sqlite_file(url)
    if file is None or not file.is_file():
        return False
    effective = os.access in os.supports_effective_ids
    return not all(os.access(path, os.W_OK, effective_ids=effective) for path in (file, file.absolute().parent))


def _prepare(engine: Engine, url: URL, read_only: bool) -> None:
    if not is_sqlite(url):
        _check_encoding(engine, url)
    upgrade.check_owner(engine, shown(url))
    if read_only:
        upgrade.check_current(engine, shown(url))
        return
    if is_sqlite(url):
        _use_wal(engine)
    upgrade.upgrade(engine)


def _make_folder(url: URL) -> None:
    file = sqlite_file(url)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MriError(
            f"the folder of the results database cannot be made: {file.parent} ({error.strerror})",
            "choose another MRI_HOME or MRI_DATABASE_URL",
        ) from None


def _engine(url: URL) -> Engine:
    if is_sqlite(url):
        return _with_sqlite_events(create_engine(url, connect_args=_unless_given(url, timeout=BUSY_SECONDS)))
    arguments = _unless_given(url, connect_timeout=CONNECT_SECONDS, client_encoding="utf8")
    engine = create_engine(url, connect_args=arguments, pool_pre_ping=True)
    event.listen(engine, "connect", _configure_postgresql)
    return engine


def _unless_given(url: URL, **defaults: Any) -> dict[str, Any]:
    return {name: value for name, value in defaults.items() if name not in url.query}


def _read_only_engine(url: URL) -> Engine:
    file = sqlite_file(url)
    assert file is not None
    return _with_sqlite_events(create_engine(url, creator=partial(_open_read_only, file.absolute())))


def _open_read_only(file: Path) -> sqlite3.Connection:
    """Without a log beside the file nobody writes to it now: SQLite needs no files there either (``immutable``)."""
    in_use = any(file.with_name(file.name + suffix).exists() for suffix in ("-wal", "-journal"))
    options = "mode=ro" if in_use else "mode=ro&immutable=1"
    return sqlite3.connect(
        f"file:{quote(str(file))}?{options}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
    )


def _with_sqlite_events(engine: Engine) -> Engine:
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "checkout", _check_in_place)
    return engine


def _configure_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, so that they cover DDL too
    connection.execute("PRAGMA foreign_keys = ON")
    file = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    record.info["file"], record.info["inode"] = file, _inode(file)


def _check_in_place(_connection: Any, record: Any, _proxy: Any) -> None:
    """SQLite would go on writing to a file that has been deleted, and nobody would find the rows."""
    file = record.info["file"]
    if _inode(file) != record.info["inode"]:
        raise MriError(f"the results database {file} was removed or replaced", "restore it, then run the same command")


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once and waits for it: a reader turning writer would not wait, but fail.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _configure_postgresql(connection: Any, _record: Any) -> None:
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _check_encoding(engine: Engine, url: URL) -> None:
    """File names and classes may hold any character; only UTF8 stores them all."""
    with engine.connect() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise MriError(
            f"the results database {shown(url)} has the encoding {encoding} and cannot store every file name",
            f"create one with: createdb --encoding UTF8 --template template0 {url.database}_utf8"
            "; then set MRI_DATABASE_URL to it",
        )


def _use_wal(engine: Engine) -> None:
    """Readers no longer wait for writers. SQLite does not wait for this switch by itself, so this function does."""
    deadline = time.monotonic() + BUSY_SECONDS
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname not in ("SQLITE_BUSY", "SQLITE_LOCKED") or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    finally:
        connection.close()
