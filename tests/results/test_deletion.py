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
        of_run = {"run_id": f"r{number}", "model_id": f"m{number}"}
        samples.record_predictions(store, [samples.prediction(**of_run)])
        samples.record_series(store, [samples.series_prediction(**of_run)])
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
    assert (found.kind, found.id, found.sweeps, found.pooled) == ("model", "m1", ("s1",), ())
    assert found.files == (Path("models/m1"), Path("r1.parquet"))
    assert (found.rows["evaluation"], found.rows["prediction"], found.kept) == (2, 1, 2)
    deletion.delete(full, found)
    after = rows_of(full)
    changes = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert changes == found.rows | {"promotion": -1}
    assert after["class_metric"] == before["class_metric"] / 2
    with full.reading() as connection:
        assert sorted(connection.scalars(schema.sweep.select())) == ["both", "s2"]
    with pytest.raises(MriError, match="0 models, sweeps and scoring runs begin with 'm1'"):
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
    assert (found.kind, found.rows) == ("run", {"prediction": 1, "series_prediction": 1, "scoring_run": 1})
    deletion.delete(full, found)
    assert full.query("predictions")["path"].tolist() == []
    assert len(full.query("models")) == 2


def test_the_champion_and_ambiguous_names_are_refused(full: Store) -> None:
    with pytest.raises(RefusedError, match="model m2 is the champion"):
        deletion.plan(full, "m2")
    with pytest.raises(MriError, match="2 models, sweeps and scoring runs begin with 'm'"):
        deletion.plan(full, "m")
    with pytest.raises(MriError, match="begin with '%'"):
        deletion.plan(full, "%")


@pytest.fixture
def folds(store: Store) -> Store:
    """A cross-validation of three models with its pooled evaluation; the third belongs to another sweep too."""
    for name in ("f1", "f2", "f3", "whole"):
        samples.record_model(store, id=name, path=f"models/{name}")
    store.record_sweep({"id": "folds-1", "kind": "folds"}, ["f1", "f2", "f3"])
    store.record_sweep({"id": "seeds-1", "kind": "seeds"}, ["f3", "whole"])
    samples.record_evaluation(store, id="pooled", model_id=None, sweep_id="folds-1")
    return store


def test_a_deleted_fold_takes_the_pooled_evaluation_of_its_sweep_with_it(folds: Store) -> None:
    found = deletion.plan(folds, "f1")
    assert (found.sweeps, found.pooled, found.rows["evaluation"]) == ((), ("folds-1",), 1)
    deletion.delete(folds, found)
    sweeps = folds.query("sweeps").set_index("sweep_id")
    assert sweeps.loc["folds-1", "models"] == 2 and sweeps.loc["folds-1", ["pooled_accuracy"]].isna().all()
    assert len(folds.query("evaluations")) == 0


def test_a_model_of_a_sweep_of_seeds_takes_no_evaluation_of_others_with_it(folds: Store) -> None:
    found = deletion.plan(folds, "whole")
    assert (found.sweeps, found.pooled) == ((), ()) and "evaluation" not in found.rows


def test_a_sweep_goes_with_its_models_but_for_those_of_other_sweeps(folds: Store) -> None:
    found = deletion.plan(folds, "folds")
    assert (found.kind, found.models, found.sweeps, found.pooled) == ("sweep", ("f1", "f2"), ("folds-1",), ())
    assert found.files == (Path("models/f1"), Path("models/f2"))
    before = rows_of(folds)
    deletion.delete(folds, found)
    after = rows_of(folds)
    assert {name: n - after[name] for name, n in before.items() if n != after[name]} == found.rows
    assert sorted(folds.query("models")["id"]) == ["f3", "whole"]
    assert folds.query("sweeps")["sweep_id"].tolist() == ["seeds-1"]
    assert deletion.plan(folds, "seeds-1").models == ("f3", "whole")


def test_a_sweep_without_models_of_its_own_can_be_deleted(folds: Store) -> None:
    folds.record_sweep({"id": "seeds-2", "kind": "seeds"}, ["f3", "whole"])
    found = deletion.plan(folds, "seeds-2")
    assert (found.models, found.sweeps) == ((), ("seeds-2",))
    deletion.delete(folds, found)
    assert len(folds.query("models")) == 4


def test_a_sweep_of_which_a_model_is_the_champion_is_refused(folds: Store) -> None:
    found = deletion.plan(folds, "folds-1")
    registry.promote(folds, "f2", "")
    with pytest.raises(RefusedError, match="model f2 of folds-1 is the champion"):
        deletion.plan(folds, "folds-1")
    with pytest.raises(RefusedError, match="model f2 of folds-1 is the champion"):
        deletion.delete(folds, found)
    assert len(folds.query("models")) == 4
