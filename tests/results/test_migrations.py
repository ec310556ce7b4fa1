"""Databases of every earlier schema, with rows in all tables, are upgraded in place."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect

from mri_model.errors import MriError
from mri_model.results import schema, upgrade
from mri_model.results.database import parse, writing
from mri_model.results.store import Store
from tests.results import result_samples as samples

REVISIONS = [f"{number:04}" for number in range(1, 15)]
RENAMED = {
    "twin_free_n": "duplicate_free_n",
    "twin_free_accuracy": "duplicate_free_accuracy",
    "twin_free_macro_f1": "duplicate_free_macro_f1",
}
SWEEPS = {"m1": "m1", "m2": "sweep-1", "m3": "sweep-1", "m4": "series-1", "m5": "series-1", "m6": "series-2"}
"""``sweep_id`` of each model before migration 0004; a model alone had its own id."""

SWEEP_ROWS = [
    {"id": "series-1", "kind": "folds", "recorded_at": samples.later(-3)},
    {"id": "series-2", "kind": "seeds", "recorded_at": samples.later(-5)},
    {"id": "sweep-1", "kind": "sizes", "recorded_at": samples.later(-1)},
]
NEW_OF_CLASSES = ("n_groups", "f1_low", "f1_high", "average_precision")
NEW_OF_PREDICTIONS = (
    "tumor_probability",
    "contrast_probability",
    "top5",
    "seconds",
    "distance",
    "prediction_set",
    "risk",
    "series",
    "patient",
    "probabilities",
)
NEW_OF_RUNS = ("drift", "drift_reason", "drift_images", "drift_sources", "drift_waiting")
NEW_OF_MODELS = ("sha256", "temperature", "preprocessing", "fold", "folds")
"""Columns that are null for rows of an earlier schema."""

RECIPES: list[dict[str, Any]] = [
    {"fold": 0, "folds": 0},
    {},
    {"fold": 2, "folds": 5},
    {"fold": 1, "folds": 2},
    {"fold": 2, "folds": 2},
    {"fold": 0, "folds": 0},
]
"""Recipe of each model; migration 0010 reads the fold from it."""

DRIFT = {"run_id": "r1", "statistic": "label", "differs": True, "distance": 0.5, "expected": 0.1, "p_value": 0.01}

FORCED = {"id": 8, "model_id": "m1", "stage": "retired", "who": "w", "why": "replaced", "at": samples.later(1)}
"""A row as schema 0009 recorded it: it was marked as forced because the promotion of the next champion was."""

SHARD = {"run_id": "r1", "number": 0, "n_files": 1, "fence": 2, "worker": "w"}

LOOK = {"incoming": "/arrived", "looked_at": samples.START, "n_folders": 1, "n_loose": 0}
INCOMING = {
    "folder": "/arrived/monday",
    "incoming": "/arrived",
    "listing": "l1",
    "n_files": 2,
    "state": "waiting",
    **dict.fromkeys(("first_seen_at", "changed_at", "looked_at"), samples.START),
    "tried_at": None,
    "n_failures": 0,
    "run_id": None,
    "problem": None,
}

MEMBERS = [
    {"sweep_id": sweep, "model_id": model, "position": place}
    for sweep, model, place in [
        ("series-1", "m5", 0),
        ("series-1", "m4", 1),
        ("series-2", "m6", 0),
        ("sweep-1", "m3", 0),
        ("sweep-1", "m2", 1),
    ]
]
"""What migration 0004 makes of ``SWEEPS``."""


def rows_of(revision: str) -> dict[str, list[dict[str, Any]]]:
    """Rows for every table of an earlier schema."""
    if revision >= "0004":
        added = {"sweep": SWEEP_ROWS, "sweep_model": MEMBERS}
        if revision >= "0007":
            added["similarity_metric"] = [{**row, "evaluation_id": "e1"} for row in samples.similarity_metrics()]
        if revision >= "0009":
            added["evaluated_image"] = [{**row, "evaluation_id": "e1"} for row in samples.evaluated_images()]
        rows = {**expected(old_rows(status=True)), **added}
        if revision >= "0011":
            rows["scoring_shard"] = [SHARD]
        if revision >= "0012":
            rows |= {"incoming_look": [LOOK], "incoming_folder": [INCOMING]}
        if revision >= "0014":
            rows["drift_metric"] = [DRIFT]
        if revision >= "0009":
            rows["promotion"].append({**FORCED, "forced": revision < "0010", "objections": None})
        return rows
    return old_rows(status=revision == "0003")


def old_rows(status: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows for every table of the schema before migration 0004."""
    models = [
        {**samples.model(id=name), "sweep_id": sweep, "created_at": samples.later(-minute), "recipe": recipe}
        for minute, ((name, sweep), recipe) in enumerate(zip(SWEEPS.items(), RECIPES, strict=True))
    ]
    evaluation = samples.evaluation(duplicate_free_n=3, duplicate_free_accuracy=0.25)
    for old, new in RENAMED.items():
        evaluation[old] = evaluation.pop(new)
    del evaluation["sweep_id"]
    if status:
        models[0]["status"] = "training"
    return {
        "dataset": [samples.dataset()],
        "dataset_class": [{**row, "dataset_digest": "d1"} for row in samples.classes()],
        "model": models if status else [{k: v for k, v in row.items() if k != "status"} for row in models],
        "epoch": samples.epochs().fillna(0).assign(model_id="m1").to_dict("records"),
        "promotion": [{"id": 7, "model_id": "m2", "stage": "champion", "who": "w", "why": "y", "at": samples.START}],
        "evaluation": [evaluation],
        "class_metric": samples.class_metrics().assign(evaluation_id="e1").to_dict("records"),
        "contrast_metric": [{**row, "evaluation_id": "e1"} for row in samples.contrast_metrics()],
        "confusion": [{**row, "evaluation_id": "e1"} for row in samples.confusion()],
        "scoring_run": [samples.scoring_run(n_found=1, n_scored=1, n_abstained=0, n_rejected=0, n_reused=0)],
        "prediction": [samples.prediction()],
    }


@contextmanager
def raw(url: str) -> Iterator[Engine]:
    """An engine that changes nothing at opening."""
    engine = create_engine(parse(url))
    yield engine
    engine.dispose()


def dump(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, but Alembic's revision and the views."""
    tables = MetaData()
    tables.reflect(connection)
    return {
        name: sorted(map(dict, connection.execute(table.select()).mappings()), key=str)
        for name, table in tables.tables.items()
        if name not in ("alembic_version", "view_digest")
    }


@pytest.fixture(params=REVISIONS)
def old_url(url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A database of an earlier schema with rows in all its tables, and a view."""
    (tmp_path / "home").mkdir()
    with raw(url) as engine, engine.begin() as connection, monkeypatch.context() as then:
        upgrade.migrate(connection, request.param)
        then.setattr(upgrade, "migrate", lambda connection: None)
        table = "evaluation" if request.param >= "0004" else "model"
        then.setattr(upgrade, "view_sources", lambda: {"report_table_3": f"SELECT sweep_id FROM {table}"})
        upgrade.rebuild(connection)
        tables = MetaData()
        tables.reflect(connection)
        for name, rows in rows_of(request.param).items():
            known = tables.tables[name].columns.keys()
            connection.execute(tables.tables[name].insert(), [{k: row[k] for k in row if k in known} for row in rows])
    return url


def expected(before: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """What the upgrade makes of ``before``, but for the new tables."""
    models = [{"status": "trained", **row} for row in before["model"]]
    evaluations = [{RENAMED.get(name, name): value for name, value in row.items()} for row in before["evaluation"]]
    return before | {
        "dataset_class": [{"n_groups": None} | row for row in before["dataset_class"]],
        "class_metric": [dict.fromkeys(NEW_OF_CLASSES) | row for row in before["class_metric"]],
        "model": [
            dict.fromkeys(NEW_OF_MODELS)
            | {name: value for name, value in row.items() if name != "sweep_id"}
            | ({name: row["recipe"][name] for name in ("fold", "folds")} if row["recipe"].get("fold") else {})
            for row in models
        ],
        "promotion": [
            {"objections": None, **row, "forced": row.get("forced", False) and row["stage"] == "champion"}
            for row in before["promotion"]
        ],
        "evaluation": [
            dict.fromkeys(samples.NOT_SAID_BEFORE) | {"sweep_id": None, "n_seen": 0} | row for row in evaluations
        ],
        "scoring_run": [  # the one in the samples was not finished
            dict.fromkeys(("listing", "active_until", "engine", "risk", *NEW_OF_RUNS)) | {"status": "superseded"} | row
            for row in before["scoring_run"]
        ],
        "prediction": [
            dict.fromkeys(NEW_OF_PREDICTIONS) | {"seen_at": row["scored_at"]} | row for row in before["prediction"]
        ],
    }


def test_rows_of_an_earlier_schema_survive_the_upgrade(old_url: str) -> None:
    with raw(old_url) as engine, engine.connect() as connection:
        before = dump(connection)
    assert all(before.values())
    with Store.open(old_url) as store, store._engine.connect() as connection:
        after = dump(connection)
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert store.query("report-table-4").iloc[0, 1] == 0.84
    for name, rows in expected(before).items():
        assert sorted(after[name], key=lambda row: str(sorted(row.items(), key=str))) == sorted(
            rows, key=lambda row: str(sorted(row.items(), key=str))
        ), name
    assert after.keys() - before.keys() <= {
        *("sweep", "sweep_model", "similarity_metric", "evaluated_image"),
        *("scoring_shard", "incoming_look", "incoming_folder", "drift_metric", "series_prediction"),
    }


def test_folds_of_an_earlier_schema_say_which_one_they_are(old_url: str) -> None:
    with Store.open(old_url) as store:
        protocols = dict(store.query("models")[["id", "protocol"]].values.tolist())
    folds = {"m3": "fold 2/5", "m4": "fold 1/2", "m5": "fold 2/2"}
    assert protocols == dict.fromkeys(("m1", "m2", "m6"), "random") | folds


def test_only_the_promotion_itself_stays_a_forced_one(url: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    champion = {"id": 7, "model_id": "m2", "stage": "champion", "who": "w", "why": "y", "at": samples.START}
    with raw(url) as engine, engine.begin() as connection:
        upgrade.migrate(connection, "0009")
        tables = MetaData()
        tables.reflect(connection)
        for name, rows in expected(old_rows(status=True)).items():
            if name in ("dataset", "model"):
                known = tables.tables[name].columns.keys()
                connection.execute(
                    tables.tables[name].insert(), [{k: row[k] for k in row if k in known} for row in rows]
                )
        connection.execute(tables.tables["promotion"].insert(), [row | {"forced": True} for row in (champion, FORCED)])
    with Store.open(url) as store:
        history = store.query("history")
    assert list(zip(history["stage"], history["forced"].astype(bool), strict=True)) == [
        ("retired", False),
        ("champion", True),
    ]


def test_models_with_a_common_sweep_id_become_a_sweep(old_url: str) -> None:
    with Store.open(old_url) as store, store._engine.connect() as connection:
        sweeps = connection.execute(schema.sweep.select().order_by("id")).mappings().all()
        members = connection.execute(schema.sweep_model.select().order_by("sweep_id", "position")).mappings().all()
    assert (sweeps, members) == (SWEEP_ROWS, MEMBERS)


def constraints(engine: Engine) -> dict[str, list[object]]:
    """What Alembic's comparison does not look at: checks, keys and their names."""
    found = inspect(engine)
    return {
        name: [
            sorted((check["name"] or "", check["sqltext"]) for check in found.get_check_constraints(name)),
            sorted((key["name"] or "", key["referred_table"]) for key in found.get_foreign_keys(name)),
            found.get_pk_constraint(name)["constrained_columns"],
            found.get_pk_constraint(name)["name"],
            sorted((column["name"], column["nullable"], str(column["type"])) for column in found.get_columns(name)),
        ]
        for name in schema.metadata.tables
    }


def drop_views(store: Store) -> None:
    with writing(store._engine) as connection:
        upgrade.drop_views(connection, list(upgrade.view_sources()))


def test_an_upgraded_database_has_the_constraints_of_a_new_one(old_url: str) -> None:
    with Store.open(old_url) as store:
        migrated = constraints(store._engine)
        drop_views(store)
        with writing(store._engine) as connection:
            schema.metadata.drop_all(connection)
            schema.metadata.create_all(connection)
        assert constraints(store._engine) == migrated


def test_references_still_guard_an_upgraded_database(old_url: str) -> None:
    with Store.open(old_url) as store:
        with pytest.raises(MriError, match="refused a row"), store.writing() as connection:
            connection.exec_driver_sql("DELETE FROM model WHERE id = 'm1'")
        with pytest.raises(MriError, match="refused a row"):
            store.record_sweep({"id": "s", "kind": "seeds"}, ["absent"])


def test_a_failed_upgrade_leaves_the_old_schema_and_rows(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw(old_url) as engine, engine.connect() as connection:
        before = dump(connection), MigrationContext.configure(connection).get_current_revision()
    with monkeypatch.context() as then:
        then.setattr(upgrade, "view_sources", lambda: {"report_table_1": "SELECT 1 FROM FROM nowhere"})
        with pytest.raises(MriError, match="syntax"):
            Store.open(old_url)
    with raw(old_url) as engine, engine.connect() as connection:
        assert (dump(connection), MigrationContext.configure(connection).get_current_revision()) == before
        assert inspect(connection).get_view_names() == ["report_table_3"]
    with Store.open(old_url) as store:
        assert len(store.query("models")) == 6


def upgrade_together(url: str, start: Barrier, name: str) -> None:
    start.wait()
    with Store.open(url) as store:
        samples.record_model(store, id=name)


@pytest.mark.slow
def test_processes_may_upgrade_a_database_at_once(old_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=upgrade_together, args=(old_url, start, f"new{n}")) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Store.open(old_url) as store:
        assert len(store.query("models")) == 9


@pytest.fixture
def old_file(tmp_path: Path) -> str:
    """A SQLite database of schema 0003 with one model."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    with raw(url) as engine, engine.begin() as connection:
        upgrade.migrate(connection, "0003")
        tables = MetaData()
        tables.reflect(connection)
        for name in ("dataset", "model"):
            connection.execute(tables.tables[name].insert(), old_rows(status=True)[name])
    return url


def test_a_users_own_view_survives_the_upgrade_of_a_sqlite_file(old_file: str) -> None:
    with raw(old_file) as engine, engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT id, val_f1 FROM model")
    with Store.open(old_file) as store, store._engine.connect() as connection:
        assert len(connection.exec_driver_sql("SELECT * FROM mine").all()) == 6


def test_a_broken_reference_stops_the_upgrade_and_nothing_is_changed(old_file: str) -> None:
    with raw(old_file) as engine, engine.begin() as connection:  # SQLite checks no references unless told to
        connection.exec_driver_sql("UPDATE model SET dataset_digest = 'gone' WHERE id = 'm1'")
        before = dump(connection)
    with pytest.raises(MriError, match="a row of model refers to a missing row of dataset") as caught:
        Store.open(old_file)
    assert "not changed" in caught.value.hint
    with raw(old_file) as engine, engine.connect() as connection:
        assert dump(connection) == before


def test_the_schema_before_the_given_protocol_gets_its_constraint_and_keeps_its_rows(url: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    rows = expected(old_rows(status=True))
    with raw(url) as engine, engine.begin() as connection:
        upgrade.migrate(connection, "0004")
        tables = MetaData()
        tables.reflect(connection)
        for name in ("dataset", "model"):
            known = tables.tables[name].columns.keys()
            connection.execute(tables.tables[name].insert(), [{k: row[k] for k in known} for row in rows[name]])
        before = dump(connection)
    with Store.open(url) as store, store._engine.connect() as connection:
        models = expected({**rows, "model": before["model"]})["model"]
        names = (
            "similarity_metric",
            "evaluated_image",
            "scoring_shard",
            "incoming_look",
            "incoming_folder",
            "drift_metric",
            "series_prediction",
        )
        new: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        assert dump(connection) == before | {"model": models} | new
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        samples.record_model(store, id="new", protocol="given")
        with pytest.raises(MriError, match="refused a row"):
            samples.record_model(store, id="other", protocol="none")
