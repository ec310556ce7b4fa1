"""The connection: which database, is it there, does its schema fit this code, and what to say when not."""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from mri_model.errors import MriError
from mri_model.results.schema import view_digest

SQL = Path(__file__).resolve().parents[2] / "sql"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
URL_HINT = "set MRI_DATABASE_URL to sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
BUSY_SECONDS = 30
CONNECT_SECONDS = 5
UPGRADE_LOCK = 0x6D7269  # "mri"; any number that all our processes agree on

_upgrading = threading.Lock()  # Alembic's context is global to the process


def connect(url: str | URL) -> Engine:
    """An engine on the database at ``url``, its schema and views brought up to date."""
    parsed = parse(url)
    _make_room(parsed)
    engine = _engine(parsed)
    try:
        with speaking_plainly(parsed):
            if engine.dialect.name == "sqlite":
                _use_wal(engine)
            _upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def parse(url: str | URL) -> URL:
    """The URL with the driver we use. What cannot be parsed is never echoed: it may hold a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise MriError("MRI_DATABASE_URL is not a database URL", URL_HINT) from None
    if parsed.drivername not in DRIVERS:
        raise MriError(f"unknown database driver {parsed.drivername!r} in MRI_DATABASE_URL", URL_HINT)
    if "@" in (parsed.host or ""):
        raise MriError("MRI_DATABASE_URL has an '@' too many", "write an '@' in a password as %40")
    if parsed.host and parsed.get_backend_name() == "sqlite":
        raise MriError("MRI_DATABASE_URL has a slash too few", "write sqlite:///FILE, or sqlite:////ABSOLUTE/FILE")
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def shown(url: URL) -> str:
    """The URL as people may see it."""
    return url.difference_update_query(_secret_options(url)).render_as_string(hide_password=True)


@contextmanager
def speaking_plainly(url: URL) -> Iterator[None]:
    """Turn what the database complains about into one line, without the password."""
    try:
        yield
    except IntegrityError as error:
        raise MriError(
            f"the results database refused a row: {_one_line(error, url)}",
            "a row it refers to may be missing: ingest, train and evaluate with the same MRI_DATABASE_URL",
        ) from None
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise MriError(
            f"the results database {shown(url)} cannot be used: {_one_line(error, url)}", _hint(error, url)
        ) from None


def _secret_options(url: URL) -> list[str]:
    return [name for name in url.query if "password" in name]


def _one_line(error: Exception, url: URL) -> str:
    cause = str(getattr(error, "orig", None) or error).partition("\n\tIs the server running")[0]
    for secret in [url.password, *(url.query[name] for name in _secret_options(url))]:
        if secret:
            cause = cause.replace(str(secret), "***")
    return " ".join(cause.split()).removeprefix("connection failed: ")


def _hint(error: Exception, url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return "it must be an SQLite file, or a new one, that you may write; otherwise set MRI_DATABASE_URL"
    cause = str(error)
    if "database" in cause and "does not exist" in cause:
        return f"create it (createdb {url.database}), or correct MRI_DATABASE_URL"
    if "authentication failed" in cause or "no password supplied" in cause:
        return "correct the user and the password in MRI_DATABASE_URL"
    return "start that server or correct MRI_DATABASE_URL; without it, results go to SQLite under MRI_HOME"


def _make_room(url: URL) -> None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MriError(
            f"the folder of the results database cannot be made: {folder} ({error.strerror})",
            "choose another MRI_HOME or MRI_DATABASE_URL",
        ) from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    engine = create_engine(url, connect_args=timeout, pool_pre_ping=True)
    event.listen(engine, "connect", _configure_postgresql)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, so that they cover DDL too
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once and waits for it: a reader turning writer would not wait, but fail.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _configure_postgresql(connection: Any, _record: Any) -> None:
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it or nothing."""
    with engine.execution_options(writes=True).begin() as connection:
        yield connection


def _use_wal(engine: Engine) -> None:
    """Readers no longer wait for writers. SQLite does not wait for this switch by itself, so we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    finally:
        connection.close()


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        if _is_current(connection):
            return
    with _upgrading, writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
        if not _is_current(connection):
            _rebuild(connection)


def _is_current(connection: Connection) -> bool:
    scripts = ScriptDirectory(str(SQL / "migrations"))
    revision = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    if revision is not None and revision not in known:
        raise MriError(
            f"the results database has schema {revision}; this version knows none newer than {known[0]}",
            "install the newer version of this program that wrote it, or use another MRI_DATABASE_URL",
        )
    return revision == known[0] and _stored_views(connection) == {
        name: _digest(sql) for name, sql in view_sources().items()
    }


def _rebuild(connection: Connection) -> None:
    """Migrate with the views out of the way, then make them afresh."""
    views = view_sources()
    if inspect(connection).has_table(view_digest.name):
        for name in connection.scalars(select(view_digest.c.name)).all():
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
        connection.execute(view_digest.delete())
    migrate(connection)
    for name, sql in views.items():
        # without parameters "%" is a plain character: some columns are called so
        connection.exec_driver_sql(f"CREATE VIEW {name} AS\n{sql}", execution_options={"no_parameters": True})
        connection.execute(view_digest.insert().values(name=name, digest=_digest(sql)))


def migrate(connection: Connection, revision: str = "head") -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SQL / "migrations").replace("%", "%%"))
    command.upgrade(config, revision)


def _stored_views(connection: Connection) -> dict[str, str]:
    there = set(inspect(connection).get_view_names())
    rows = connection.execute(select(view_digest.c.name, view_digest.c.digest))
    return {row.name: row.digest for row in rows if row.name in there}


def view_sources() -> dict[str, str]:
    """View name → its SELECT."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((SQL / "views").glob("*.sql"))}


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()[:16]
