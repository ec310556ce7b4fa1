"""Opening: from nothing, from an older or a newer schema, by many at once, and where there is no database."""

import multiprocessing
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Engine, MetaData, Table, create_engine, inspect, make_url

from mri_model.errors import MriError
from mri_model.results import database, schema
from mri_model.results.store import Store
from tests.results import result_samples as samples

SECRET = "hunter2"


def tables(store: Store) -> set[str]:
    return set(inspect(store._engine).get_table_names())


def execute(store: Store, sql: str) -> None:
    with database.writing(store._engine) as connection:
        connection.exec_driver_sql(sql)


def test_the_migrations_build_what_the_schema_says(store: Store) -> None:
    assert tables(store) == {*schema.metadata.tables, "alembic_version"}
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def constraints(engine: Engine) -> dict[str, list[object]]:
    """What Alembic's comparison does not look at: checks, keys and their names."""
    found = inspect(engine)
    return {
        name: [
            sorted((check["name"] or "", check["sqltext"]) for check in found.get_check_constraints(name)),
            sorted((key["name"] or "", key["referred_table"]) for key in found.get_foreign_keys(name)),
            found.get_pk_constraint(name)["constrained_columns"],
            found.get_pk_constraint(name)["name"],
        ]
        for name in schema.metadata.tables
    }


def test_the_migrations_build_the_same_constraints(store: Store) -> None:
    migrated = constraints(store._engine)
    for name in database.view_sources():
        execute(store, f"DROP VIEW {name}")
    with database.writing(store._engine) as connection:
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
    assert constraints(store._engine) == migrated


def test_names_sort_alike_whatever_the_servers_locale(postgresql_url: str) -> None:
    with Store.open(postgresql_url) as store, store._engine.connect() as connection:
        collations = connection.exec_driver_sql(
            "SELECT DISTINCT collation_name FROM information_schema.columns"
            " WHERE data_type = 'text' AND table_name IN ('dataset_class', 'model', 'prediction')"
        )
        assert collations.scalars().all() == ["C"]


def test_opening_again_changes_nothing_and_says_nothing(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with Store.open(url) as store:
        samples.record_model(store)
    with Store.open(url) as store:
        assert store.latest_model() == "m1"
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_views_follow_their_files(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(url).close()
    ours = database.view_sources()
    changed = {
        **ours,
        "report_table_6": "SELECT 'new' AS contrast, 1 AS n",
        "report_table_7": "SELECT 1 AS one",
    }
    monkeypatch.setattr(database, "view_sources", lambda: changed)
    with Store.open(url) as store:
        assert store.query("report-table-6").values.tolist() == [["new", 1]]
        assert "report_table_7" in inspect(store._engine).get_view_names()
        execute(store, "DROP VIEW report_table_6")
    monkeypatch.setattr(database, "view_sources", lambda: ours)
    with Store.open(url) as store:
        assert list(store.query("report-table-6").columns) == ["contrast", "n", "%"]
        assert set(inspect(store._engine).get_view_names()) == set(ours)


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_rows_of_an_earlier_schema_survive_the_upgrade(
    url: str, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    parsed = database.parse(url)
    database._make_room(parsed)
    engine = create_engine(parsed)
    rows = {"dataset": samples.dataset(), "model": samples.model(), "evaluation": samples.evaluation()}
    with engine.begin() as connection, monkeypatch.context() as then:
        then.setattr(database, "migrate", partial(database.migrate, revision=revision))
        # a view stands in a migration's way
        then.setattr(database, "view_sources", lambda: {"report_table_4": "SELECT * FROM model"})
        database._rebuild(connection)
        for name, row in rows.items():
            there = [column["name"] for column in inspect(connection).get_columns(name)]
            columns = [column for column in schema.metadata.tables[name].columns if column.name in there]
            old = Table(name, MetaData(), *(Column(column.name, column.type) for column in columns))
            connection.execute(old.insert().values({key: value for key, value in row.items() if key in there}))
    engine.dispose()
    with Store.open(url) as store, store._engine.connect() as connection:
        kept = {name: connection.execute(schema.metadata.tables[name].select()).one()._asdict() for name in rows}
        assert kept["evaluation"] == samples.evaluation() | dict.fromkeys(samples.NOT_SAID_BEFORE)
        assert kept["model"] == samples.model() | {"status": "trained"}
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert store.query("report-table-4").iloc[0, 1] == 0.84
        assert store.latest_model() == "m1"


def test_a_newer_schema_is_refused(url: str) -> None:
    with Store.open(url) as store:
        execute(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MriError, match="schema 9999; this version knows none newer than 0003") as caught:
        Store.open(url)
    assert "newer version" in caught.value.hint


def test_a_failed_upgrade_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "view_sources", lambda: {"report_table_1": "SELECT 1 FROM FROM nowhere"})
    with pytest.raises(MriError, match="syntax"):
        Store.open(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def open_together(url: str, start: Barrier, name: str) -> None:
    start.wait()
    with Store.open(url) as store:
        samples.record_model(store, id=name)


def test_two_processes_may_open_a_new_database_at_once(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    processes = [context.Process(target=open_together, args=(url, start, f"m{n}")) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    with Store.open(url) as store:
        assert sorted(store.query("models")["id"]) == ["m0", "m1"]


def test_threads_may_open_a_new_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(Store.open, [url] * 6))
    for store in stores:
        assert store.query("models").empty
        store.close()


def test_concurrent_writers_lose_nothing(store: Store) -> None:
    samples.record_model(store)
    store.start_scoring_run(samples.scoring_run())
    batches = [[samples.prediction(f"/in/{part}/{n}.jpg") for n in range(50)] for part in range(8)]
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(store.add_predictions, batches))
    assert written == [50] * 8
    assert len(store.query("predictions")) == 400


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/results",
        f"postgresql+psycopg://me@127.0.0.1:1/results?password={SECRET}",
        f"postgres://me:{SECRET}@nowhere.invalid/results",
        f"postgresql+psycopg://me:{SECRET}@/results?nonsense=1",
        f"mysql://me:{SECRET}@host/results",
        f"postgresql+nosuch://me:{SECRET}@host/results",
        f"postgresql+psycopg://me:{SECRET}@host:port/results",
        f"postgresql+psycopg://me:a@{SECRET}@host/results",
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


def test_a_missing_postgresql_database_says_how_to_make_it(postgresql_url: str) -> None:
    absent = make_url(postgresql_url).set(database="absent").render_as_string()
    with pytest.raises(MriError, match='database "absent" does not exist') as caught:
        Store.open(absent)
    assert "createdb absent" in caught.value.hint


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as no_progress:
        began = time.monotonic()
        with pytest.raises(MriError, match="timeout"):
            Store.open(f"postgresql+psycopg://me@127.0.0.1:{no_progress.getsockname()[1]}/results")
    assert time.monotonic() - began < 5


def test_what_is_no_sqlite_database_is_said_to_be_none(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a database, " * 100)
    for place in (other, tmp_path, other / "below" / "results.db"):
        with pytest.raises(MriError) as caught:
            Store.open(f"sqlite:///{place}")
        assert "\n" not in str(caught.value) and caught.value.hint
    assert other.read_text().startswith("not a database")


def test_sqlite_is_set_up_for_many_readers_and_kept_references(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'results.db'}") as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
