"""What a training records while it runs, and sweeps of seeds."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from mri_model import api, steps
from mri_model.cli.main import app
from mri_model.errors import MriError, UsageError
from mri_model.models.network import Resnet18
from mri_model.settings import Settings
from tests.conftest import QUICK
from tests.faults.test_kills import TRAIN, run_and_kill


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_epochs_are_in_the_database_while_the_training_runs(
    phantom: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, database: str
) -> None:
    if database == "postgresql":
        monkeypatch.setenv("MRI_DATABASE_URL", request.getfixturevalue("postgresql_url"))
        settings = Settings()
    api.ingest(settings, phantom)
    seen = []

    def look(line: str) -> None:
        if not line.startswith("epoch"):
            return
        with steps.open_store(settings) as store:
            models = store.query("models")
            seen.append((line[:8], len(store.query("epochs")), models["status"].tolist()))
            assert store.query("report-table-3").empty

    trained = api.train(settings, QUICK, run=api.StepRunner(log=look))
    assert seen == [("epoch 1:", 0, []), ("epoch 2:", 1, ["training"])]
    with steps.open_store(settings) as store:
        assert store.query("models")["status"].tolist() == ["trained"]
        assert len(store.query("epochs")) == 2
        assert store.query("models")["id"].tolist() == [trained.models[0].id]


@pytest.mark.slow
def test_a_database_that_goes_away_stops_no_training(
    phantom: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = api.ingest(settings, phantom)
    monkeypatch.setenv("MRI_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/away?connect_timeout=1")
    folder = steps.train_network(Settings(), QUICK, manifest, "cpu")
    assert (folder / "model.json").is_file()
    assert "epoch 1 is not in the database yet" in caplog.text
    steps.record_model(settings, folder)
    with steps.open_store(settings) as store:
        assert len(store.query("epochs")) == 2


@pytest.mark.slow
def test_an_interrupted_training_is_recorded_as_stopped_until_it_resumes(phantom: Path, settings: Settings) -> None:
    api.ingest(settings, phantom)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "epoch 2/2" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.train(settings, QUICK, run=api.StepRunner(progress=interrupt))
    with steps.open_store(settings) as store:
        assert store.query("models")["status"].tolist() == ["stopped"]
    api.train(settings, QUICK)
    with steps.open_store(settings) as store:
        assert store.query("models")["status"].tolist() == ["trained"]


@pytest.mark.slow
def test_a_training_whose_process_died_is_recorded_as_stopped_by_the_next_one(
    phantom: Path, settings: Settings
) -> None:
    api.ingest(settings, phantom)
    run_and_kill(TRAIN, lambda: any(settings.models.glob("*/curves.svg")) and recorded(settings) == ["training"])
    api.train(settings, replace(QUICK, epochs=1))
    assert sorted(recorded(settings)) == ["stopped", "trained"]


def recorded(settings: Settings) -> list[str]:
    with steps.open_store(settings) as store:
        return list(store.query("models")["status"])


@pytest.mark.slow
def test_a_finished_training_run_again_leaves_its_row_and_its_sweep_as_they_were(
    phantom: Path, settings: Settings
) -> None:
    api.ingest(settings, phantom)
    recipe = replace(QUICK, epochs=1)
    api.train(settings, recipe, seeds=2)
    with steps.open_store(settings) as store:
        models, sweeps = store.query("models"), store.query("sweeps")
    api.train(settings, recipe)
    with steps.open_store(settings) as store:
        pd.testing.assert_frame_equal(store.query("models"), models)
        pd.testing.assert_frame_equal(store.query("sweeps"), sweeps)


@pytest.mark.slow
def test_a_model_trained_before_its_sweep_belongs_to_it_too(phantom: Path, settings: Settings) -> None:
    api.ingest(settings, phantom)
    recipe = replace(QUICK, epochs=1)
    api.train(settings, recipe)
    first, again = (api.train(settings, recipe, seeds=2).sweep_id for _ in range(2))
    assert first == again
    with steps.open_store(settings) as store:
        assert store.query("sweeps")["models"].tolist() == [2]


@pytest.mark.slow
def test_a_weights_file_deleted_during_training_does_not_stop_it(
    phantom: Path, settings: Settings, tmp_path: Path
) -> None:
    api.ingest(settings, phantom)
    weights = tmp_path / "w.pth"
    torch.save(Resnet18(1000).resnet.state_dict(), weights)

    def delete(line: str) -> None:
        if line.startswith("epoch"):
            weights.unlink(missing_ok=True)

    trained = api.train(settings, replace(QUICK, weights=str(weights)), run=api.StepRunner(log=delete))
    assert str(trained.models[0].recipe["weights"]).startswith("w.pth#")
    assert trained.models[0].epochs == 2


def members(settings: Settings) -> list[str]:
    """The models of all sweeps, in their order."""
    engine = create_engine(settings.results_url)
    with engine.connect() as connection:
        found = list(connection.execute(text("SELECT model_id FROM sweep_model ORDER BY position")).scalars())
    engine.dispose()
    return found


@pytest.mark.slow
def test_a_sweep_that_runs_again_and_is_interrupted_keeps_all_its_models(phantom: Path, settings: Settings) -> None:
    api.ingest(settings, phantom)
    recipe = replace(QUICK, epochs=1)
    trained = api.train(settings, recipe, seeds=2)

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    shutil.rmtree(trained.folders[1])
    with pytest.raises(KeyboardInterrupt):
        api.train(settings, recipe, seeds=2, run=LogsOnlyEpochs(log=interrupt))
    assert members(settings) == [model.id for model in trained.models]


class LogsOnlyEpochs(api.StepRunner):
    """Passes on the lines of epochs, so that a finished training says nothing."""

    def __call__(self, step: Any, *arguments: Any) -> Any:
        def log(line: str) -> None:
            if line.startswith("epoch"):
                self.log(line)

        return step(*arguments, **api.callbacks(step, self.progress, log))


@pytest.mark.slow
def test_a_refused_second_training_leaves_the_row_of_the_first_as_it_is(phantom: Path, settings: Settings) -> None:
    api.ingest(settings, phantom)
    seen = []

    def train_again(line: str) -> None:
        if line.startswith("epoch 2"):
            with pytest.raises(MriError, match="another process is training"):
                api.train(settings, QUICK)
            seen.append(recorded(settings))

    api.train(settings, QUICK, run=api.StepRunner(log=train_again))
    assert seen == [["training"]]


@pytest.mark.slow
def test_a_resumed_training_is_recorded_as_training_before_its_next_epoch_ends(
    phantom: Path, settings: Settings
) -> None:
    api.ingest(settings, phantom)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "epoch 2/2" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.train(settings, QUICK, run=api.StepRunner(progress=interrupt))
    seen = []

    def look(stage: str, done: int, total: int) -> None:
        seen.append(recorded(settings))

    api.train(settings, QUICK, run=api.StepRunner(progress=look))
    assert seen[0] == ["training"]


@pytest.mark.slow
def test_sweeps_show_the_evaluations_on_their_own_manifest(phantom: Path, settings: Settings) -> None:
    first = api.ingest(settings, phantom)
    trained = api.train(settings, replace(QUICK, epochs=1), seeds=2)
    with steps.open_store(settings) as store:
        before = store.query("sweeps")
    other = api.ingest(settings, phantom, seed=1)
    assert other.digest != first.digest
    api.evaluate(settings, trained.models[0].id, manifest_name=other.digest)
    with steps.open_store(settings) as store:
        pd.testing.assert_frame_equal(store.query("sweeps"), before)


@pytest.mark.parametrize("stage", ["ingest", "seeds", "evaluate", "score"])
def test_what_cannot_run_in_several_processes_says_so(
    settings: Settings, phantom: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    calls = {
        "ingest": lambda: api.ingest(settings, phantom),
        "seeds": lambda: api.train(settings, QUICK, seeds=2),
        "evaluate": lambda: api.evaluate(settings),
        "score": lambda: api.score(settings, phantom),
    }
    with pytest.raises(UsageError, match="runs in one process"):
        calls[stage]()


@pytest.mark.slow
def test_seeds_give_a_model_each_and_say_how_far_they_differ(phantom: Path, settings: Settings) -> None:
    api.ingest(settings, phantom)
    options = "train --recipe report --image-size 32 --epochs 1 --weights none --seeds 2 --seed 5"
    done = CliRunner().invoke(app, options.split())
    assert done.exit_code == 0, done.output
    assert "accuracy 0." in done.stdout
    assert " ± " in done.stdout
    with steps.open_store(settings) as store:
        sweeps = store.query("sweeps").iloc[0]
        assert len(store.query("evaluations")) == 2
        assert sorted(name.rsplit("-", 1)[0] for name in store.query("models")["id"]) == ["resnet18-32px-random"] * 2
    assert (sweeps["kind"], sweeps["models"]) == ("seeds", 2)
    assert sweeps["accuracy_lowest"] <= sweeps["accuracy"] <= sweeps["accuracy_highest"]


def test_folds_of_the_given_split_are_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="the protocol given has no folds"):
        api.train(settings, replace(QUICK, protocol="given"), folds=3)


def test_seeds_and_folds_together_are_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="cannot be combined"):
        api.train(settings, QUICK, seeds=2, folds=3)
