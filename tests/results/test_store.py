"""What is recorded comes back, once, whole, and alike on both databases."""

import os
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from mri_model.errors import MriError
from mri_model.results import schema
from mri_model.results.store import Store
from tests.results import result_samples as samples


def rows(store: Store, table: Any) -> list[dict[str, Any]]:
    with store._engine.connect() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key.columns))
        return [dict(row._mapping) for row in found]


def test_a_row_reads_back_as_it_was_written(store: Store) -> None:
    samples.record_model(store)
    assert rows(store, schema.dataset) == [samples.dataset()]
    assert rows(store, schema.model) == [samples.model()]
    assert [row["train_loss"] for row in rows(store, schema.epoch)] == [None, 1.5]


def test_moments_are_kept_in_utc(store: Store) -> None:
    summer = datetime(2026, 7, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    samples.record_model(store, created_at=summer)
    store.record_model(samples.model(id="m2", created_at="2026-07-01T10:00:00Z"), [])
    first, second = (row["created_at"] for row in rows(store, schema.model))
    assert first == summer and first.tzinfo is UTC
    assert second.isoformat() == "2026-07-01T10:00:00+00:00"
    asked = store.query("models")["created_at"]
    assert str(asked.dtype) == "datetime64[us, UTC]" and list(asked) == [first, second]


def test_a_moment_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(MriError, match="without a time zone"):
        store.record_dataset(samples.dataset(ingested_at=datetime(2026, 7, 1)), [])


def test_numpy_and_pandas_values_become_plain(store: Store) -> None:
    record = samples.dataset(n_ok=np.int64(3), seed=np.int32(7), ingested_at=pd.Timestamp(samples.START))
    store.record_dataset(record, samples.classes({"glioma": 3}))
    recipe = {"lr": np.float64(0.5), "decay": float("nan"), "sizes": (np.int64(1), 2)}
    store.record_model(samples.model(recipe=recipe, val_f1=np.float64(0.25)), samples.epochs())
    assert rows(store, schema.dataset)[0] == samples.dataset(n_ok=3, seed=7)
    assert rows(store, schema.dataset_class)[0]["contrast"] is None
    assert rows(store, schema.model)[0]["recipe"] == {"lr": 0.5, "decay": None, "sizes": [1, 2]}
    assert rows(store, schema.model)[0]["val_f1"] == 0.25


def test_a_path_that_is_not_utf_8_is_recorded_with_escapes(store: Store) -> None:
    store.record_dataset(samples.dataset(root=os.fsdecode(b"/data/caf\xe9")), [])
    assert rows(store, schema.dataset)[0]["root"] == r"/data/caf\udce9"


def test_missing_values_of_pandas_become_null(store: Store) -> None:
    samples.record_model(store)
    missing = {"duplicate_free_accuracy": pd.NA, "duplicate_free_macro_f1": np.nan}
    samples.record_evaluation(store, **missing)
    samples.record_run(store, finished_at=pd.NaT, n_found=None)
    assert rows(store, schema.evaluation) == [samples.evaluation(**dict.fromkeys(samples.NOT_SAID_BEFORE))]
    assert rows(store, schema.scoring_run)[0]["finished_at"] is None
    assert rows(store, schema.scoring_run)[0]["n_found"] == 0


def test_a_share_a_hair_above_one_is_one(store: Store) -> None:
    samples.record_model(store, train_accuracy=1.0000000000000002)
    assert rows(store, schema.model)[0]["train_accuracy"] == 1.0


@pytest.mark.parametrize(
    "change",
    [{"val_f1": 1.5}, {"protocol": "lucky"}, {"epochs": -1}, {"dataset_digest": "none"}, {"path": None}],
)
def test_the_database_guards_its_rows(store: Store, change: dict[str, Any]) -> None:
    samples.record_data(store)
    with pytest.raises(MriError, match="refused a row") as caught:
        store.record_model(samples.model(**change), [])
    assert "\n" not in str(caught.value)
    assert rows(store, schema.model) == []


def test_an_unknown_column_is_an_error_of_the_program(store: Store) -> None:
    with pytest.raises(ValueError, match="'dataset' has no column colour"):
        store.record_dataset(samples.dataset(colour="red"), [])


def test_a_dataset_seen_again_only_learns_where_and_when(store: Store) -> None:
    samples.record_data(store)
    store.record_dataset(samples.dataset(root="/moved", seed=1, ingested_at=samples.later(1)), samples.classes())
    assert rows(store, schema.dataset) == [samples.dataset(root="/moved", ingested_at=samples.later(1))]
    assert len(rows(store, schema.dataset_class)) == 44


def test_a_model_recorded_again_is_replaced_with_its_epochs(store: Store) -> None:
    samples.record_model(store)
    samples.record_evaluation(store)
    store.record_model(samples.model(val_f1=0.9), samples.epochs(1))
    assert [row["val_f1"] for row in rows(store, schema.model)] == [0.9]
    assert len(rows(store, schema.epoch)) == 1
    assert len(rows(store, schema.evaluation)) == 1


def test_running_a_finished_training_again_leaves_its_row_as_it_was(store: Store) -> None:
    samples.record_model(store)
    store.record_model(samples.model(id="m2", created_at=samples.later(1)), [])
    store.record_model(samples.model(created_at=samples.later(2)), samples.epochs())
    assert rows(store, schema.model)[0] == samples.model()
    assert list(store.query("models")["id"]) == ["m2", "m1"]


@pytest.mark.parametrize("status", ["training", "stopped"])
def test_a_training_that_resumes_updates_its_time(store: Store, status: str) -> None:
    samples.record_model(store, status=status)
    store.record_model(samples.model(created_at=samples.later(2)), samples.epochs())
    assert rows(store, schema.model) == [samples.model(created_at=samples.later(2))]


def test_only_a_model_in_training_can_be_marked_stopped(store: Store) -> None:
    samples.record_data(store)
    for status, minute in (("training", 0), ("trained", 1), ("stopped", 2), ("training", 3)):
        row = samples.model(id=f"{status}{minute}", status=status, created_at=samples.later(minute), path=f"p{minute}")
        store.record_model(row, [])
    assert store.training_models() == [("training0", "p0"), ("training3", "p3")]
    for name in ("training0", "trained1", "stopped2", "unknown"):
        store.mark_stopped(name)
    assert {row["id"]: row["status"] for row in rows(store, schema.model)} == {
        "training0": "stopped",
        "trained1": "trained",
        "stopped2": "stopped",
        "training3": "training",
    }
    assert store.training_models() == [("training3", "p3")]
    assert not store.knows_model("stopped2")


def sweep_members(store: Store) -> list[tuple[str, str, int]]:
    return [tuple(row.values()) for row in rows(store, schema.sweep_model)]  # type: ignore[misc]


def test_a_model_may_belong_to_several_sweeps(store: Store) -> None:
    samples.record_model(store)
    store.record_model(samples.model(id="m2"), [])
    began = datetime.now(UTC)
    store.record_sweep({"id": "s1", "kind": "seeds"}, ["m2", "m1", "m2"])
    store.record_sweep({"id": "s2", "kind": "sizes"}, ["m1"])
    assert sweep_members(store) == [("s1", "m1", 1), ("s1", "m2", 0), ("s2", "m1", 0)]
    first, second = rows(store, schema.sweep)
    assert (first["kind"], second["kind"]) == ("seeds", "sizes")
    assert began <= first["recorded_at"] <= second["recorded_at"] <= datetime.now(UTC)


def test_a_sweep_recorded_again_keeps_its_members_and_has_a_new_moment(store: Store) -> None:
    samples.record_model(store)
    store.record_model(samples.model(id="m2"), [])
    store.record_sweep({"id": "s1", "kind": "seeds"}, ["m2", "m1"])
    store.record_sweep({"id": "s1", "kind": "folds", "recorded_at": samples.later(1)}, ["m1"])
    assert sweep_members(store) == [("s1", "m1", 0), ("s1", "m2", 0)]
    assert rows(store, schema.sweep) == [{"id": "s1", "kind": "folds", "recorded_at": samples.later(1)}]


@pytest.mark.parametrize(("kind", "members"), [("seeds", ["m1", "absent"]), ("colours", ["m1"])])
def test_a_sweep_with_a_wrong_member_or_kind_leaves_no_trace(store: Store, kind: str, members: list[str]) -> None:
    samples.record_model(store)
    with pytest.raises(MriError, match="refused a row"):
        store.record_sweep({"id": "s1", "kind": kind}, members)
    assert rows(store, schema.sweep) == rows(store, schema.sweep_model) == []


def test_an_evaluation_belongs_to_a_sweep_or_to_a_model(store: Store) -> None:
    samples.record_model(store)
    store.record_sweep({"id": "s1", "kind": "folds"}, ["m1"])
    samples.record_evaluation(store, id="pooled", model_id=None, sweep_id="s1")
    kept = rows(store, schema.evaluation)
    assert [(row["model_id"], row["sweep_id"]) for row in kept] == [(None, "s1")]
    for owners in ({"model_id": "m1", "sweep_id": "s1"}, {"model_id": None}, {"model_id": None, "sweep_id": "s9"}):
        with pytest.raises(MriError, match="refused a row"):
            samples.record_evaluation(store, id="bad", **owners)
    assert rows(store, schema.evaluation) == kept


def test_an_evaluation_recorded_again_is_replaced(store: Store) -> None:
    samples.record_model(store)
    samples.record_evaluation(store)
    store.record_evaluation(samples.evaluation(accuracy=0.5), samples.class_metrics()[:3], [], [])
    assert [row["accuracy"] for row in rows(store, schema.evaluation)] == [0.5]
    counts = [len(rows(store, table)) for table in (schema.class_metric, schema.contrast_metric, schema.confusion)]
    assert counts == [3, 0, 0]


@pytest.mark.parametrize("again", [False, True])
def test_an_evaluation_with_one_bad_row_leaves_no_trace(store: Store, again: bool) -> None:
    samples.record_model(store)
    if again:
        samples.record_evaluation(store)
    tables = (schema.evaluation, schema.class_metric, schema.contrast_metric, schema.confusion)
    before = [rows(store, table) for table in tables]
    bad = [*samples.confusion(), {"true_label": "a", "predicted_label": "b", "n": 0}]
    with pytest.raises(MriError):
        store.record_evaluation(
            samples.evaluation(accuracy=0.1), samples.class_metrics(), samples.contrast_metrics(), bad
        )
    assert [rows(store, table) for table in tables] == before
