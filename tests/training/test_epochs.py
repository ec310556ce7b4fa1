"""A training can be watched: its rows in SQL, its repetitions."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mri_model import api
from mri_model.cli.main import app
from mri_model.settings import Settings
from tests.conftest import QUICK


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_epochs_are_in_the_database_while_the_training_runs(
    phantom: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, database: str
) -> None:
    if database == "postgresql":
        monkeypatch.setenv("MRI_DATABASE_URL", request.getfixturevalue("postgresql_url"))
        settings = Settings()
    api.ingest(settings, phantom)
    seen = []

    def look(row: dict[str, Any]) -> None:
        with api.open_store(settings) as store:
            model = store.query("models").iloc[0]
            seen.append((len(store.query("epochs")), model["epochs"], model["status"], store.latest_model()))
            assert store.query("report-table-3").empty

    folder = api.train(settings, QUICK, on_epoch=look)
    assert seen == [(1, 1, "training", None), (2, 2, "training", None)]
    with api.open_store(settings) as store:
        assert store.query("models")["status"].tolist() == ["trained"]
        assert len(store.query("epochs")) == 2
        assert store.latest_model() == folder.name


def test_a_database_that_goes_away_stops_no_training(
    phantom: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = api.ingest(settings, phantom)
    monkeypatch.setenv("MRI_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/away?connect_timeout=1")
    folder = api.fit(Settings(), QUICK, manifest)
    assert (folder / "model.json").is_file()
    assert "epoch 1 is not in the database yet" in caplog.text
    api.record_model(settings, folder)
    with api.open_store(settings) as store:
        assert len(store.query("epochs")) == 2


def test_seeds_give_a_model_each_and_say_how_far_they_differ(phantom: Path, settings: Settings) -> None:
    api.ingest(settings, phantom)
    options = "train --recipe report --image-size 32 --epochs 1 --weights none --seeds 2 --seed 5"
    done = CliRunner().invoke(app, options.split())
    assert done.exit_code == 0, done.output
    assert "accuracy 0." in done.stdout
    assert " ± " in done.stdout
    with api.open_store(settings) as store:
        repeats = store.query("repeats").iloc[0]
        assert len(store.query("evaluations")) == 2
        assert sorted(name.rsplit("-", 1)[0] for name in store.query("models")["id"]) == ["resnet18-32px-random"] * 2
    assert repeats["models"] == 2
    assert repeats["accuracy_lowest"] <= repeats["accuracy"] <= repeats["accuracy_highest"]


def test_seeds_and_folds_together_are_refused() -> None:
    assert CliRunner().invoke(app, ["train", "--seeds", "2", "--folds", "3"]).exit_code == 2
