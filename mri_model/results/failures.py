"""Database errors as messages for people: what failed and what to do, without passwords."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mri_model.errors import MriError, UnavailableError
from mri_model.results.url import is_sqlite, redacted, shown

TEMPORARY_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED")
TEMPORARY_SQLSTATES = ("08", "57P01", "57P02", "57P03", "53300", "40001", "40P01", "55P03")
"""Connection lost, server shutting down or starting, too many connections, deadlock, lock not available."""

REFUSED_CONNECTION = re.compile(
    "authentication failed|no password supplied|does not exist|permission denied|no pg_hba.conf entry"
    r"|not permitted to log in|\binvalid \w+ (value|number|option)|certificate verify|SSL error|support SSL",
    re.IGNORECASE,
)
"""Errors that a retry does not fix."""

SQLITE_HINTS = {
    "SQLITE_BUSY": "another process is writing to it; wait, or stop it",
    "SQLITE_LOCKED": "another process is writing to it; wait, or stop it",
    "SQLITE_READONLY": "make the file and its folder writable, or set MRI_DATABASE_URL to another database",
    "SQLITE_CANTOPEN": "it must be a file in a folder that you may write to; otherwise set MRI_DATABASE_URL",
    "SQLITE_NOTADB": "it must be an SQLite file, or a new one; otherwise set MRI_DATABASE_URL",
    "SQLITE_CORRUPT": "the file is damaged: restore a backup, or set MRI_DATABASE_URL to another database",
    "SQLITE_FULL": "free some disk space and run the command again",
    "SQLITE_IOERR": "check the disk that holds it, or set MRI_DATABASE_URL to another database",
}
SQLITE_OTHER = "set MRI_DATABASE_URL to another database if this one cannot be repaired"
UNREACHABLE = "start that server or correct MRI_DATABASE_URL; without it, results go to SQLite under MRI_HOME"


@contextmanager
def translated_errors(url: URL) -> Iterator[None]:
    """Turn database errors into an MriError of one line and a hint.

    Raises:
        UnavailableError: A temporary failure: connection refused or lost, server starting, SQLite file locked.
        MriError: Any other failure.
    """
    try:
        yield
    except IntegrityError as error:
        raise MriError(
            f"the results database refused a row: {_cause(error)}",
            "a row it refers to may be missing: ingest, train and evaluate with the same MRI_DATABASE_URL",
        ) from None
    except (SQLAlchemyError, sqlite3.Error) as error:
        kind = UnavailableError if _is_temporary(error) else MriError
        raise kind(f"the results database {shown(url)} cannot be used: {_cause(error)}", _hint(error, url)) from None


def _driver_error(error: Exception) -> Any:
    return getattr(error, "orig", None) or error


def _sqlstate(error: Exception) -> str:
    """PostgreSQL's error code; empty where the server sent none, as if the connection failed."""
    return getattr(_driver_error(error), "sqlstate", None) or ""


def _sqlite_code(error: Exception) -> str:
    """Such as ``SQLITE_BUSY``, without the extension of codes such as ``SQLITE_BUSY_SNAPSHOT``."""
    return "_".join(getattr(_driver_error(error), "sqlite_errorname", "").split("_")[:2])


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, PoolTimeoutError) or _sqlite_code(error) in TEMPORARY_SQLITE:
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if _sqlstate(error):
        return _sqlstate(error).startswith(TEMPORARY_SQLSTATES)
    return _is_failed_connection(error) and not REFUSED_CONNECTION.search(str(_driver_error(error)))


def _is_failed_connection(error: Exception) -> bool:
    return isinstance(error, OperationalError) and not isinstance(error.orig, sqlite3.Error) and not _sqlstate(error)


def _cause(error: Exception) -> str:
    """The driver's message on one line."""
    driver_error = _driver_error(error)
    diagnosis = getattr(driver_error, "diag", None)
    if diagnosis is not None and diagnosis.message_primary:
        cause = " ".join(filter(None, (diagnosis.message_primary, diagnosis.message_detail)))
    else:
        cause = str(driver_error).partition("\n\tIs the server running")[0]
    return redacted(" ".join(cause.split())).removeprefix("connection failed: ")


def _hint(error: Exception, url: URL) -> str:
    if is_sqlite(url):
        return SQLITE_HINTS.get(_sqlite_code(error), SQLITE_OTHER)
    cause = str(_driver_error(error))
    if _sqlstate(error) in ("42501", "3F000") or "permission denied" in cause:
        return _rights_hint(cause, url)
    if _sqlstate(error) == "25006":
        return "that server is read-only: set MRI_DATABASE_URL to the primary server"
    if _sqlstate(error) and not _is_temporary(error):
        return "see the server's log, or set MRI_DATABASE_URL to another database"
    if "database" in cause and "does not exist" in cause:
        return f"create it (createdb --encoding UTF8 --template template0 {url.database}), or correct MRI_DATABASE_URL"
    if "authentication failed" in cause or "no password supplied" in cause or "role" in cause:
        return "correct the user and the password in MRI_DATABASE_URL"
    return UNREACHABLE


def _rights_hint(cause: str, url: URL) -> str:
    """Which right is missing, from messages such as ``permission denied for schema public``."""
    user = f'"{url.username}"' if url.username else "this user"
    if "must be owner" in cause:
        return "the owner of the tables must run a command once, for example mri query models: that upgrades them"
    if "for database" in cause:
        return f'its owner must run: GRANT CONNECT ON DATABASE "{url.database}" TO {user}'
    schema = re.search(r"schema \"?([^\s\"]+)", cause)
    if schema is None and re.search(r"for (table|view|relation|sequence)", cause):
        return f"its owner must run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
    return f"its owner must run: GRANT CREATE, USAGE ON SCHEMA {schema[1] if schema else 'public'} TO {user}"
