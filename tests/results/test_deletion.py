from pathlib import Path

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
    assert found.files == (Path("models/m1"), Path("r1.parquet"))
    assert (found.rows["evaluation"], found.rows["prediction"], found.rows["promotion"]) == (2, 1, 2)
    deletion.delete(full, found)
    after = rows_of(full)
    assert {name: before[name] - after[name] for name in before if before[name] != after[name]} == found.rows
    assert after["class_metric"] == before["class_metric"] / 2
    with full.reading() as connection:
        assert sorted(connection.scalars(schema.sweep.select())) == ["both", "s2"]
    with pytest.raises(MriError, match="0 models and scoring runs begin with 'm1'"):
        deletion.plan(full, "m1")


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
