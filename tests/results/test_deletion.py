from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mri_model.errors import MriError, RefusedError
from mri_model.results import deletion, registry, schema
from mri_model.results.store import Store
from tests.results import result_samples as samples


@pytest.fixture
def full(store: Store) -> Store:
    """Two models, each with an evaluation, a sweep of its own and a scoring run, and a sweep of both."""
    for number in ("1", "2"):
        samples.record_model(store, id=f"m{number}", path=f"models/m{number}")
        store.record_sweep({"id": f"s{number}", "kind": "seeds"}, [f"m{number}"])
        samples.record_evaluation(store, id=f"e{number}", model_id=f"m{number}")
        samples.record_evaluation(store, id=f"pooled{number}", model_id=None, sweep_id=f"s{number}")
        samples.record_run(store, id=f"r{number}", model_id=f"m{number}", parquet=f"r{number}.parquet")
        samples.record_predictions(store, [samples.prediction(run_id=f"r{number}", model_id=f"m{number}")])
        registry.promote(store, f"m{number}", "")
    store.record_sweep({"id": "both", "kind": "seeds"}, ["m1", "m2"])
    return store


def rows_of(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        tables = schema.metadata.tables
        return {name: len(connection.execute(table.select()).all()) for name, table in tables.items()}


def test_a_model_goes_with_all_its_rows_and_nothing_of_others(full: Store) -> None:
    before = rows_of(full)
    found = deletion.plan(full, "m1")
    assert (found.kind, found.id, found.sweeps) == ("model", "m1", ("s1",))
    assert found.files == (Path("models/m1"), Path("r1.parquet"), Path("r1"))
    assert (found.rows["evaluation"], found.rows["prediction"], found.kept) == (2, 1, 2)
    deletion.delete(full, found)
    after = rows_of(full)
    changes = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert changes == found.rows | {"promotion": -1}
    assert after["class_metric"] == before["class_metric"] / 2
    with full.reading() as connection:
        assert sorted(connection.scalars(schema.sweep.select())) == ["both", "s2"]
    with pytest.raises(MriError, match="0 models and scoring runs begin with 'm1'"):
        deletion.plan(full, "m1")


def test_the_history_of_a_deleted_model_stays_and_says_so(full: Store, tmp_path: Path) -> None:
    deletion.delete(full, deletion.plan(full, "m1"))
    history = full.query("history")
    stages = [("m1", "deleted"), ("m1", "retired"), ("m2", "champion"), ("m1", "champion")]
    assert list(zip(history["model_id"], history["stage"], strict=True)) == stages
    on = full.query("champion-on")
    assert list(zip(on["model_id"], on["deleted"], strict=True)) == [("m1", 1), ("m2", 0)]
    assert full.query("champion")["model_id"].tolist() == full.query("model-stage")["model_id"].tolist() == ["m2"]
    counts = full.export(tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "promotion.parquet")["model_id"].to_pylist() == ["m1", "m2", "m1", "m1"]
    assert (counts["promotion"], counts["model"]) == (4, 1)


def test_a_model_that_was_deleted_and_trained_again_is_a_candidate(full: Store) -> None:
    deletion.delete(full, deletion.plan(full, "m1"))
    samples.record_model(full, id="m1")
    assert not registry.crown_first(full, "m1")
    assert dict(full.query("models")[["id", "stage"]].values.tolist()) == {"m1": "candidate", "m2": "champion"}
    registry.promote(full, "m1", "good")
    assert dict(full.query("models")[["id", "stage"]].values.tolist()) == {"m1": "champion", "m2": "retired"}
    assert full.query("champion")["model_id"].tolist() == ["m1"]
    with pytest.raises(RefusedError, match="m1 is the champion"):
        deletion.plan(full, "m1")


def test_a_model_that_was_never_promoted_gets_no_history(full: Store) -> None:
    samples.record_model(full, id="m3")
    found = deletion.plan(full, "m3")
    deletion.delete(full, found)
    assert found.kept == 0 and "m3" not in full.query("history")["model_id"].tolist()


def test_a_model_that_became_the_champion_meanwhile_is_not_deleted(full: Store) -> None:
    found = deletion.plan(full, "m1")
    registry.promote(full, "m1", "good")
    before = rows_of(full)
    with pytest.raises(RefusedError, match="m1 is the champion"):
        deletion.delete(full, found)
    assert rows_of(full) == before


def test_a_folder_that_is_not_recorded_is_a_model_too(full: Store) -> None:
    found = deletion.plan(full, "old", ["m1", "older"])
    assert (found.kind, found.id, found.rows, found.kept, found.files) == ("model", "older", {}, 0, ())
    deletion.delete(full, found)


def test_a_scoring_run_goes_with_its_predictions(full: Store) -> None:
    found = deletion.plan(full, "r2")
    assert (found.kind, found.rows) == ("run", {"prediction": 1, "scoring_run": 1})
    deletion.delete(full, found)
    assert full.query("predictions")["path"].tolist() == []
    assert len(full.query("models")) == 2


def test_the_champion_and_ambiguous_names_are_refused(full: Store) -> None:
    with pytest.raises(RefusedError, match="model m2 is the champion"):
        deletion.plan(full, "m2")
    with pytest.raises(MriError, match="2 models and scoring runs begin with 'm'"):
        deletion.plan(full, "m")
    with pytest.raises(MriError, match="begin with '%'"):
        deletion.plan(full, "%")
