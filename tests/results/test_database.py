"""Opening: from nothing, from a newer schema, by many at once, for reading only, and another program's database."""

import multiprocessing
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, create_engine, inspect

from mri_model.errors import MriError
from mri_model.results import database, schema, upgrade
from mri_model.results.store import Store
from tests.results import result_samples as samples


def tables(store: Store) -> set[str]:
    return set(inspect(store._engine).get_table_names())


def execute(store: Store, sql: str) -> None:
    with database.writing(store._engine) as connection:
        connection.exec_driver_sql(sql)


def test_the_migrations_build_what_the_schema_says(store: Store) -> None:
    assert tables(store) == {*schema.metadata.tables, "alembic_version"}
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_names_sort_the_same_whatever_the_servers_locale(postgresql_url: str) -> None:
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
        assert list(store.query("models")["id"]) == ["m1"]
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_views_follow_their_files(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(url).close()
    ours = upgrade.view_sources()
    changed = {
        **ours,
        "report_table_6": "SELECT 'new' AS contrast, 1 AS n",
        "report_table_7": "SELECT 1 AS one",
    }
    monkeypatch.setattr(upgrade, "view_sources", lambda: changed)
    with Store.open(url) as store:
        assert store.query("report-table-6").values.tolist() == [["new", 1]]
        assert "report_table_7" in inspect(store._engine).get_view_names()
        execute(store, "DROP VIEW report_table_6")
    monkeypatch.setattr(upgrade, "view_sources", lambda: ours)
    with Store.open(url) as store:
        assert list(store.query("report-table-6").columns) == ["contrast", "n", "%"]
        assert set(inspect(store._engine).get_view_names()) == set(ours)


def test_views_may_use_views_whatever_their_names(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    views = {
        "a": "-- uses b and d?\nSELECT n + 1 AS n FROM b",
        "b": "SELECT n * 2 AS n FROM d",
        "c": "SELECT a.n + b.n AS n FROM a CROSS JOIN b",
        "d": "-- used by a?\nSELECT 3 AS n",
    }
    assert list(upgrade.in_order_of_use(views)) == ["d", "b", "a", "c"]
    for n in (3, 4):  # the second time they are rebuilt
        changed = views | {"d": f"SELECT {n} AS n"}
        monkeypatch.setattr(upgrade, "view_sources", lambda changed=changed: changed)
        with Store.open(url) as store, store.reading() as connection:
            assert connection.exec_driver_sql("SELECT n FROM c").scalar() == 4 * n + 1


def test_a_newer_schema_is_refused(url: str) -> None:
    with Store.open(url) as store:
        execute(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MriError, match="schema 9999; this version knows none newer than 0015") as caught:
        Store.open(url)
    assert "newer version" in caught.value.hint


def test_a_failed_upgrade_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "view_sources", lambda: {"report_table_1": "SELECT 1 FROM FROM nowhere"})
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
    samples.record_run(store)
    batches = [[samples.prediction(f"/in/{part}/{n}.jpg") for n in range(50)] for part in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(samples.record_predictions, store), batches))
    assert len(store.query("predictions")) == 400


def test_sqlite_is_set_up_for_many_readers_and_kept_references(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'results.db'}") as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def make_foreign(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


VERSION = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"
FOREIGN = {
    "another revision": (VERSION, "INSERT INTO alembic_version VALUES ('b3f1')", "CREATE TABLE song (id INTEGER)"),
    "a revision called like ours": (
        VERSION,
        "INSERT INTO alembic_version VALUES ('0009')",
        "CREATE TABLE song (a INT)",
    ),
    "tables called like ours": ("CREATE TABLE model (id INTEGER)", "CREATE TABLE song (id INTEGER)"),
}


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_database_of_another_program_is_not_touched(url: str, tmp_path: Path, statements: tuple[str, ...]) -> None:
    (tmp_path / "home").mkdir()
    make_foreign(url, *statements)
    file = tmp_path / "home" / "results.db"
    before = file.read_bytes() if file.exists() else b""
    with pytest.raises(MriError, match=r"belongs to another program \(it holds .*song\); it was not changed") as caught:
        Store.open(url)
    assert "MRI_DATABASE_URL" in caught.value.hint
    assert (file.read_bytes() if file.exists() else b"") == before
    engine = create_engine(url)
    assert not set(inspect(engine).get_table_names()) & {"dataset", "view_digest"}
    engine.dispose()


def test_a_sqlite_file_of_another_program_keeps_its_journal_mode(tmp_path: Path) -> None:
    file = tmp_path / "places.db"
    make_foreign(f"sqlite:///{file}", "CREATE TABLE places (url TEXT)")
    with pytest.raises(MriError, match="belongs to another program"):
        Store.open(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [path.name for path in tmp_path.iterdir()] == ["places.db"]


def test_on_postgresql_another_program_may_have_tables_beside_ours(postgresql_url: str) -> None:
    make_foreign(postgresql_url, "CREATE TABLE song (id INTEGER)")
    with Store.open(postgresql_url) as store:
        samples.record_model(store)
    with Store.open(postgresql_url) as store:
        assert list(store.query("models")["id"]) == ["m1"]
        assert "song" in tables(store)


@pytest.mark.parametrize("left", [(), (VERSION,)], ids=["empty file", "no revision"])
def test_an_empty_database_is_a_new_one(url: str, tmp_path: Path, left: tuple[str, ...]) -> None:
    (tmp_path / "home").mkdir()
    make_foreign(url, "SELECT 1", *left)
    with Store.open(url) as store:
        assert store.query("models").empty


@pytest.mark.parametrize("names", [("up?x", "up?other"), ("a#b", "a#c"), ("5%25", "5%"), ("a b", "a  b")])
def test_special_characters_in_a_path_reach_the_right_file(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        url = URL.create("sqlite", database=str(tmp_path / name / "results.db"))
        for given in (url, url.render_as_string(hide_password=False)):
            with Store.open(given) as store:
                samples.record_model(store, id=name)
                assert list(store.query("models")["id"]) == [name]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name / "results.db").is_file() for name in names)


def test_options_of_a_sqlite_url_are_kept(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'what?.db'}?timeout=7") as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 7_000
    assert [path.name for path in tmp_path.iterdir() if "-" not in path.name] == ["what?.db"]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that another user can reach, with one recorded model."""
    with tempfile.TemporaryDirectory(prefix="mri-home-") as folder:
        Path(folder).chmod(0o755)
        with Store.open(f"sqlite:///{folder}/results.db") as store:
            samples.record_model(store)
        yield Path(folder)
        Path(folder).chmod(0o755)


@contextmanager
def without_write_access(folder: Path) -> Iterator[None]:
    """Take the write permission of ``folder`` and its files from this process, root included."""
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o644)


def test_a_read_only_database_can_be_queried(home: Path) -> None:
    with without_write_access(home), Store.open(f"sqlite:///{home}/results.db") as store:
        assert list(store.query("models")["id"]) == ["m1"]
        with pytest.raises(MriError, match="readonly") as caught:
            samples.record_model(store, id="m2")
        assert "writable" in caught.value.hint
    assert [path.name for path in home.iterdir()] == ["results.db"]


def test_a_read_only_database_shows_what_another_process_is_writing(home: Path) -> None:
    with Store.open(f"sqlite:///{home}/results.db") as writer:
        samples.record_model(writer, id="m2")  # in the write-ahead log, not yet in the file itself
        with without_write_access(home), Store.open(f"sqlite:///{home}/results.db") as store:
            assert sorted(store.query("models")["id"]) == ["m1", "m2"]


def test_a_writable_file_in_a_read_only_folder_can_be_queried(home: Path) -> None:
    with without_write_access(home):
        if os.geteuid() == 65534:
            os.seteuid(0)
            (home / "results.db").chmod(0o666)
            os.seteuid(65534)
        with Store.open(f"sqlite:///{home}/results.db") as store:
            assert list(store.query("models")["id"]) == ["m1"]


def test_a_read_only_database_with_an_older_schema_says_so(home: Path) -> None:
    with Store.open(f"sqlite:///{home}/results.db") as store:
        execute(store, "DROP VIEW report_table_6")
    with without_write_access(home), pytest.raises(MriError, match="must be upgraded and cannot be written") as caught:
        Store.open(f"sqlite:///{home}/results.db")
    assert "writable" in caught.value.hint


def test_a_new_database_in_a_read_only_folder_says_so(home: Path) -> None:
    with without_write_access(home):
        for file in (home / "new.db", home / "below" / "new.db"):
            with pytest.raises(MriError) as caught:
                Store.open(f"sqlite:///{file}")
            assert "\n" not in str(caught.value) and "MRI_DATABASE_URL" in caught.value.hint


def test_a_database_file_that_is_removed_or_replaced_while_it_is_open_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "results.db"
    with Store.open(f"sqlite:///{file}") as store:
        away = file.rename(tmp_path / "away.db")
        with pytest.raises(MriError, match=r"results\.db was removed or replaced"):
            samples.record_data(store)
        away.rename(file)
        samples.record_data(store)
        shutil.copy(file, tmp_path / "copy.db")
        (tmp_path / "copy.db").rename(file)
        with pytest.raises(MriError, match=r"results\.db was removed or replaced"):
            store.query("models")
