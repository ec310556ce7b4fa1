"""A training can be watched: its rows in SQL, its curves, its repetitions."""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mri_model import api
from mri_model.cli.main import app
from mri_model.report.curves import learning_curves
from mri_model.settings import Settings
from tests.conftest import QUICK


def epoch_row(epoch: int, **changes: float) -> dict[str, Any]:
    row = {
        "epoch": epoch,
        "train_loss": 2.5 / epoch,
        "val_loss": 3.0 / epoch,
        "train_accuracy": 0.5,
        "val_accuracy": 0.4,
    }
    return row | {"val_f1": epoch / 10} | changes


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
        sweep = store.query("sweeps").iloc[0]
        assert len(store.query("evaluations")) == 2
        assert sorted(name.rsplit("-", 1)[0] for name in store.query("models")["id"]) == ["resnet18-32px-random"] * 2
    assert (sweep["kind"], sweep["models"]) == ("seeds", 2)
    assert sweep["accuracy_lowest"] <= sweep["accuracy"] <= sweep["accuracy_highest"]


def test_seeds_and_folds_together_are_refused() -> None:
    assert CliRunner().invoke(app, ["train", "--seeds", "2", "--folds", "3"]).exit_code == 2


def test_curves_show_every_epoch_and_mark_the_best() -> None:
    rows = [epoch_row(1), epoch_row(2, val_f1=0.9), epoch_row(3, train_loss=math.nan)]
    picture = ElementTree.fromstring(learning_curves(rows))
    lines = [len(element.get("points", "").split()) for element in picture if element.tag.endswith("polyline")]
    assert lines == [2, 3, 3, 3, 3]
    assert "the best, 2, has validation macro-F1 0.900" in picture.attrib["aria-label"]
    ElementTree.fromstring(learning_curves(rows[:1]))
