"""The whole database as Parquet files, alike from both databases."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mri_model.errors import MriError
from mri_model.results import export, schema
from mri_model.results.incoming_ledger import IncomingLedger
from mri_model.results.store import Store
from tests.results import result_samples as samples


def record_everything(store: Store) -> None:
    samples.record_model(store)
    samples.record_evaluation(store)
    samples.record_promotion(store, "m1", "champion", 1)
    store.record_sweep({"id": "s1", "kind": "seeds", "recorded_at": samples.START}, ["m1"])
    samples.record_run(store)
    samples.record_predictions(store, [samples.prediction(), samples.unreadable()])
    samples.record_series(store, [samples.series_prediction()])
    with store.writing() as connection:
        connection.execute(schema.scoring_shard.insert().values(run_id="r1", number=0, n_files=2))
        numbers = dict.fromkeys(("distance", "expected", "p_value"), 0.5)
        connection.execute(schema.drift_metric.insert().values(run_id="r1", statistic="label", differs=True, **numbers))
    seen = {"folder": "/in/a", "listing": "l", "n_files": 2, "newest_at": samples.START}
    IncomingLedger(store, "/in").look([seen], 0, timedelta())


def test_every_row_of_every_table_is_there(store: Store, tmp_path: Path) -> None:
    record_everything(store)
    folder = tmp_path / "new" / "out"
    counts = store.export(folder)
    tables = schema.metadata.tables.keys() - {"view_digest"}
    assert {file.name for file in folder.iterdir()} == {f"{name}.parquet" for name in tables}
    assert {name: pq.read_metadata(folder / f"{name}.parquet").num_rows for name in tables} == counts
    assert all(counts.values())
    assert (counts["dataset_class"], counts["evaluated_image"], counts["prediction"]) == (44, 3, 2)
    assert [file.name for file in folder.parent.iterdir()] == ["out"]


def test_values_keep_their_types(store: Store, tmp_path: Path) -> None:
    record_everything(store)
    store.export(tmp_path / "out")
    read = {name: pq.read_table(tmp_path / "out" / f"{name}.parquet") for name in ("model", "epoch", "promotion")}
    kinds = {name: read["model"].schema.field(name).type for name in ("created_at", "epochs", "val_f1", "recipe")}
    assert kinds == {
        "created_at": pa.timestamp("us", tz="UTC"),
        "epochs": pa.int64(),
        "val_f1": pa.float64(),
        "recipe": pa.string(),
    }
    (model,) = read["model"].to_pylist()
    expected = samples.model()
    assert json.loads(model.pop("recipe")) == expected.pop("recipe")
    assert json.loads(model.pop("preprocessing")) == expected.pop("preprocessing")
    assert model == expected
    assert read["epoch"]["train_loss"].to_pylist() == [None, 1.5]
    assert read["promotion"].to_pylist()[0]["forced"] is False
    assert pq.read_table(tmp_path / "out" / "dataset.parquet")["seed"].to_pylist() == [2**40]


def test_columns_without_a_value_keep_their_type(store: Store, tmp_path: Path) -> None:
    samples.record_model(store)
    samples.record_run(store)
    samples.record_predictions(store, [samples.unreadable()])
    store.export(tmp_path / "out")
    kinds = pq.read_schema(tmp_path / "out" / "prediction.parquet")
    assert kinds.field("probability").type == pa.float64() and kinds.field("label").type == pa.string()
    empty = pq.read_table(tmp_path / "out" / "evaluation.parquet")
    assert empty.num_rows == 0 and empty.schema.field("n").type == pa.int64()


def test_large_tables_are_written_in_chunks(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS_A_CHUNK", 10)
    samples.record_model(store)
    samples.record_run(store)
    samples.record_predictions(store, [samples.prediction(f"{n:02}.jpg") for n in range(25)])
    seen: list[tuple[int, int]] = []
    store.export(tmp_path / "out", lambda stage, done, total: seen.append((done, total)))
    file = pq.ParquetFile(tmp_path / "out" / "prediction.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [10, 10, 5]
    assert file.read()["path"].to_pylist() == [f"{n:02}.jpg" for n in range(25)]
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1]


def test_all_tables_are_as_of_one_moment(store: Store, tmp_path: Path) -> None:
    record_everything(store)

    def write_meanwhile(stage: str, done: int, total: int) -> None:
        if not done:
            samples.record_predictions(store, [samples.prediction("later.jpg")])
            store.record_dataset(samples.dataset(digest="later"), [])

    counts = store.export(tmp_path / "out", write_meanwhile)
    assert (counts["prediction"], counts["dataset"]) == (2, 1)
    assert len(pd.read_parquet(tmp_path / "out" / "prediction.parquet")) == 2
    assert len(pd.read_parquet(tmp_path / "out" / "dataset.parquet")) == 1


def test_an_empty_folder_may_be_there_another_is_refused_untouched(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    store.export(folder)
    before = sorted(folder.iterdir())
    with pytest.raises(MriError, match="is not an empty folder") as caught:
        store.export(folder)
    assert "\n" not in str(caught.value) and caught.value.hint
    assert sorted(folder.iterdir()) == before
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(MriError, match="is not an empty folder"):
        store.export(file)
    assert file.read_text() == "mine"


def test_nothing_is_left_of_an_export_that_fails(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_everything(store)

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(export, "arrow_table", fail)
    with pytest.raises(OSError, match="disk full"):
        store.export(tmp_path / "parent" / "out")
    assert list((tmp_path / "parent").iterdir()) == []
