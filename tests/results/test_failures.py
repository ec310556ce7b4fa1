"""Where a database cannot be used: one line why, one line what to do, no password, and whether a retry can help."""

import itertools
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url

from mri_model.errors import MriError, UnavailableError
from mri_model.results import database
from mri_model.results.store import Store
from mri_model.results.url import parse, redacted, shown
from tests.results import result_samples as samples

SECRET = "hunter2"
_numbers = itertools.count()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/results",
        f"postgresql+psycopg://me@127.0.0.1:1/results?password={SECRET}",
        f"postgres://me:{SECRET}@nowhere.invalid/results",
        f"postgresql+psycopg://me:{SECRET}@/results?nonsense=1",
        f"postgresql+psycopg://me:{SECRET}@/results?sslmode=1&host=/nowhere",
        f"mysql://me:{SECRET}@host/results",
        f"postgresql+nosuch://me:{SECRET}@host/results",
        f"postgresql+psycopg://me:{SECRET}@host:port/results",
        f"postgresql+psycopg://me:a@{SECRET}@host/results",
        f"postgresql+psycopg://me/us:{SECRET}@host/results",
        "sqlite://results.db",
        f"me:{SECRET}@host",
        "",
    ],
)
def test_an_unusable_url_gets_one_line_without_the_password(url: str) -> None:
    with pytest.raises(MriError) as caught:
        Store.open(url)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 250
    assert caught.value.hint
    assert SECRET not in said + caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot parse password=a host=b", "cannot parse password=*** host=b"),
        ("PASSWORD = 'a b\\'c' dbname=x", "PASSWORD = *** dbname=x"),
        ("at postgresql://me:a@host/db", "at postgresql://me:***@host/db"),
        ("permission denied for schema public", "permission denied for schema public"),
        ("sslpassword=a&x=1", "sslpassword=***&x=1"),
    ],
)
def test_passwords_are_hidden_where_they_appear_and_nowhere_else(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_a_shown_url_has_no_secrets() -> None:
    url = parse("postgresql://me:a@host/db?sslpassword=b&password=c&application_name=mri")
    assert shown(url) == "postgresql+psycopg://me:***@host/db?application_name=mri"


@contextmanager
def superuser(postgresql_server: Any) -> Iterator[Any]:
    engine = create_engine(postgresql_server.get_uri(driver="psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def user(postgresql_server: Any, postgresql_url: str) -> Iterator[str]:
    """A role with the password ``a`` and no rights in the database."""
    name = f"clerk_{next(_numbers)}"
    with superuser(postgresql_server) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'a'")
        yield name
        run_sql(postgresql_url, f"DROP OWNED BY {name} CASCADE")
        connection.exec_driver_sql(f"DROP ROLE {name}")


def as_user(url: str, user: str) -> URL:
    return make_url(url).set(username=user, password="a")


def run_sql(url: str | URL, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_missing_rights_on_the_schema_say_what_to_grant(postgresql_url: str, user: str) -> None:
    with pytest.raises(MriError, match="permission denied for schema public") as caught:
        Store.open(as_user(postgresql_url, user))
    assert not isinstance(caught.value, UnavailableError)
    hint = f'GRANT CREATE, USAGE ON SCHEMA public TO "{user}"'
    assert hint in caught.value.hint
    run_sql(postgresql_url, hint)
    Store.open(as_user(postgresql_url, user)).close()


def test_missing_rights_on_the_tables_say_what_to_grant(postgresql_url: str, user: str) -> None:
    Store.open(postgresql_url).close()
    with pytest.raises(MriError, match="permission denied for table") as caught:
        Store.open(as_user(postgresql_url, user))
    run_sql(postgresql_url, caught.value.hint.partition(": ")[2])
    with Store.open(as_user(postgresql_url, user)) as store:
        samples.record_data(store)
    run_sql(postgresql_url, "DROP VIEW report_table_6")  # so that the next opening must rebuild the views
    with pytest.raises(MriError, match="must be owner") as caught:
        Store.open(as_user(postgresql_url, user))
    assert "owner of the tables" in caught.value.hint


def test_a_missing_postgresql_database_says_how_to_make_it(postgresql_url: str) -> None:
    absent = make_url(postgresql_url).set(database="absent").render_as_string()
    with pytest.raises(MriError, match='database "absent" does not exist') as caught:
        Store.open(absent)
    assert "createdb" in caught.value.hint and "absent" in caught.value.hint
    assert not isinstance(caught.value, UnavailableError)


def test_an_unknown_user_is_no_temporary_failure(postgresql_url: str) -> None:
    with pytest.raises(MriError, match='role "nobody" does not exist') as caught:
        Store.open(make_url(postgresql_url).set(username="nobody"))
    assert "user and the password" in caught.value.hint
    assert not isinstance(caught.value, UnavailableError)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_unicode_is_refused(postgresql_server: Any, encoding: str) -> None:
    name = f"encoded_{next(_numbers)}"
    with superuser(postgresql_server) as connection:
        options = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING '{encoding}' {options}")
        try:
            with pytest.raises(MriError, match=f"encoding {encoding}") as caught:
                Store.open(postgresql_server.get_uri(database=name, driver="psycopg"))
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    assert "\n" not in str(caught.value) and "--encoding UTF8" in caught.value.hint


def test_text_is_sent_as_unicode_whatever_the_environment_says(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Store.open(postgresql_url) as store:
        store.record_dataset(samples.dataset(root="/data/脑 MRT-Größe"), [])
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT root FROM dataset").scalar() == "/data/脑 MRT-Größe"


def test_a_refused_connection_is_temporary() -> None:
    with pytest.raises(UnavailableError, match="refused") as caught:
        Store.open("postgresql://me@127.0.0.1:1/results")
    assert "start that server" in caught.value.hint


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="timeout"):
            Store.open(f"postgresql+psycopg://me@127.0.0.1:{silent.getsockname()[1]}/results")
    assert time.monotonic() - began < 5


def refuse(listener: socket.socket, code: str, message: str) -> None:
    """Answer connections as PostgreSQL does while it starts: one ErrorResponse to the start-up packet."""
    fields = b"".join(f"{name}{value}\0".encode() for name, value in (("S", "FATAL"), ("C", code), ("M", message)))
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.recv(1024)
            client.sendall(b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0")


@pytest.mark.parametrize(
    ("code", "message", "is_temporary"),
    [
        ("57P03", "the database system is starting up", True),
        ("57P03", "the database system is shutting down", True),
        ("53300", "sorry, too many clients already", True),
        ("28P01", 'password authentication failed for user "me"', False),
        ("28000", 'no pg_hba.conf entry for host "127.0.0.1"', False),
    ],
)
def test_a_server_that_is_starting_is_temporary_and_one_that_says_no_is_not(
    code: str, message: str, is_temporary: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener, code, message), daemon=True)
        thread.start()
        with pytest.raises(MriError, match=message.split('"')[0]) as caught:
            Store.open(f"postgresql://me:a@127.0.0.1:{listener.getsockname()[1]}/results?sslmode=disable")
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert isinstance(caught.value, UnavailableError) == is_temporary


def test_a_lost_connection_is_temporary_and_the_store_works_again(postgresql_url: str) -> None:
    with Store.open(postgresql_url) as store:
        with pytest.raises(UnavailableError, match="terminating connection"), store.writing() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        assert store.query("models").empty


def test_a_locked_sqlite_file_is_temporary_and_says_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    url = f"sqlite:///{tmp_path / 'results.db'}"
    with Store.open(url) as store, closing(sqlite3.connect(tmp_path / "results.db")) as other:
        samples.record_data(store)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked") as caught:
            samples.record_model(store)
        assert caught.value.hint == "another process is writing to it; wait, or stop it"
        other.rollback()
        samples.record_model(store)


def test_a_new_sqlite_file_that_is_locked_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(tmp_path / "results.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match="locked") as caught:
            Store.open(f"sqlite:///{tmp_path / 'results.db'}")
    assert "another process is writing" in caught.value.hint


def test_what_is_no_sqlite_database_is_said_to_be_none(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a database, " * 100)
    for place, hint in (
        (other, "SQLite file"),
        (tmp_path, "a file in a folder"),
        (other / "below" / "x.db", "MRI_HOME"),
    ):
        with pytest.raises(MriError) as caught:
            Store.open(f"sqlite:///{place}")
        assert "\n" not in str(caught.value) and hint in caught.value.hint
        assert not isinstance(caught.value, UnavailableError)
    assert other.read_text().startswith("not a database")
