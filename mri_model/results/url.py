"""Database URLs: parsing them, and showing them without a password."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mri_model.errors import MriError

DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
SQLITE_OPTIONS = frozenset(
    ("cache", "cached_statements", "check_same_thread", "immutable", "mode", "nolock", "timeout", "uri", "vfs")
)
URL_HINT = "set MRI_DATABASE_URL to sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"

_SECRET_NAME = re.compile("pass|secret|token", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(\w*(?:pass|secret|token)\w*\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", re.IGNORECASE)
_SECRET_IN_URL = re.compile(r"(\w+://[^\s:/@]*:)\S*@")


def parse(url: str | URL) -> URL:
    """Parse a database URL and set the driver that this program uses.

    In a SQLite URL everything after ``sqlite:///`` is the path of the file, with ``?``, ``#``, ``%`` and blanks as they
    are; only a last ``?`` that is followed by known options starts the options.

    Raises:
        MriError: The URL cannot be used. A URL that cannot be parsed is never shown: it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise MriError("MRI_DATABASE_URL is not a database URL", URL_HINT) from None
    if parsed.drivername not in DRIVERS:
        raise MriError(f"unknown database driver {parsed.drivername!r} in MRI_DATABASE_URL", URL_HINT)
    parsed = parsed.set(drivername=DRIVERS[parsed.drivername])
    if not is_sqlite(parsed):
        _check_server(parsed)
        return parsed
    if parsed.host:
        raise MriError("MRI_DATABASE_URL has a slash too few", "write sqlite:///FILE, or sqlite:////ABSOLUTE/FILE")
    return _with_whole_path(url, parsed) if isinstance(url, str) else parsed


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for a server, a database in memory and SQLite's own ``file:`` URIs."""
    if not is_sqlite(url) or not url.database or url.database == ":memory:" or url.query.get("uri"):
        return None
    return Path(url.database)


def shown(url: URL) -> str:
    """The URL without passwords, for messages."""
    return url.difference_update_query(filter(_SECRET_NAME.search, url.query)).render_as_string(hide_password=True)


def redacted(text: str) -> str:
    """A driver's message without the values of passwords: in URLs, and after ``password=`` and the like."""
    return _SECRET_IN_URL.sub(r"\1***@", _SECRET_VALUE.sub(r"\1***", text))


def _check_server(url: URL) -> None:
    if "@" in (url.host or ""):
        raise MriError("MRI_DATABASE_URL has an '@' too many", "write an '@' in a password as %40")
    if "@" in (url.database or ""):
        raise MriError("MRI_DATABASE_URL has a '/' before its '@'", "write a '/' in a user name or password as %2F")


def _with_whole_path(text: str, parsed: URL) -> URL:
    rest = text.partition(":///")[2]
    path, _, tail = rest.rpartition("?")
    options = dict(parse_qsl(tail))
    if path and options and "/" not in tail and options.keys() <= SQLITE_OPTIONS:
        return parsed.set(database=path, query=options)
    return parsed.set(database=rest or None, query={})
