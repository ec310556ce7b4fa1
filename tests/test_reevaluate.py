"""Evaluating the champion again: the same answers, or an error that says what changed."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mri_model import api, steps
from mri_model.cli.main import app
from mri_model.data.phantom import write_phantom
from mri_model.errors import ChangedError, MriError
from mri_model.models.metadata import read_metadata
from mri_model.settings import Settings
from tests.conftest import QUICK

pytestmark = pytest.mark.slow


@pytest.fixture
def champion(settings: Settings, own_phantom: Path) -> Path:
    """The folder of a trained and evaluated champion."""
    api.ingest(settings, own_phantom)
    (folder,) = api.train(settings, replace(QUICK, epochs=1)).folders
    api.evaluate(settings)
    return folder


def test_evaluating_again_gives_identical_rows_and_no_problem(settings: Settings, champion: Path) -> None:
    first, second = api.reevaluate(settings), api.reevaluate(settings)
    assert first.problems == second.problems == []
    assert second.repetition and (second.repetition.n, second.repetition.largest_change) == (44, 0.0)
    assert second.repetition.last_id == first.evaluation.id
    assert first.evaluation.images.equals(second.evaluation.images)
    assert first.evaluation.overall == second.evaluation.overall
    with steps.open_store(settings) as store:
        assert (
            store.evaluated_images(first.evaluation.id)
            .drop(columns="evaluation_id")
            .equals(store.evaluated_images(second.evaluation.id).drop(columns="evaluation_id"))
        )


def test_other_answers_on_frozen_images_end_in_an_error_with_the_numbers(settings: Settings, champion: Path) -> None:
    with steps.open_store(settings) as store, store.writing() as connection:
        connection.exec_driver_sql("UPDATE evaluated_image SET predicted_label = 'Papiloma T2' WHERE path LIKE 'G%'")
    done = CliRunner().invoke(app, ["reevaluate", "--json"], env={"MRI_HOME": str(settings.root)})
    assert isinstance(done.exception, ChangedError) and done.exception.exit_code == 3
    assert "answers differ from evaluation" in str(done.exception)
    assert '"problems": ["on frozen images' in done.stdout


def test_test_files_that_changed_on_disk_are_found(settings: Settings, champion: Path, own_phantom: Path) -> None:
    manifest = steps.open_manifest(settings, "latest")
    first, second = read_metadata(champion).partition(manifest).rows("test")["path"].iloc[:2]
    (own_phantom / first).unlink()
    cv2.imwrite(str(own_phantom / second), np.zeros((40, 40), np.uint8))
    for again in range(2):
        with pytest.raises(ChangedError, match="2 of 44 test files are gone or changed") as caught:
            api.reevaluate(settings)
        assert first in str(caught.value) and second in str(caught.value)
        shutil.rmtree(settings.pixels, ignore_errors=bool(again))
    assert len(api.query(settings, "evaluations")) == 1


def test_labelled_images_that_arrived_are_evaluated_and_never_trained_on(
    settings: Settings, champion: Path, tmp_path: Path
) -> None:
    arrived = tmp_path / "arrived"
    with pytest.raises(MriError, match="there is no folder"):
        api.reevaluate(settings, arrived=arrived)
    arrived.mkdir()
    assert api.reevaluate(settings, arrived=arrived).arrived is None
    write_phantom(tmp_path / "new", per_class=2, seed=7, max_side=96)
    for name in ("Papiloma T1", "Meningioma T2", "_NORMAL T1"):
        shutil.copytree(tmp_path / "new" / name, arrived / name)
    (arrived / "Unheard T2").mkdir()
    shutil.copy(next((tmp_path / "new" / "Papiloma T1").iterdir()), arrived / "Unheard T2" / "x.png")
    found = api.reevaluate(settings, arrived=arrived)
    assert found.arrived and found.arrived.overall.n == 6
    assert found.drop and (found.drop.n, found.drop.p_value) == (6, None)
    assert steps.open_manifest(settings, "latest").digest == read_metadata(champion).manifest
    tables = api.query(settings, "report-table-2")
    assert tables["n"].sum() == 44 * 4
    with steps.open_store(settings) as store:
        assert store.query("evaluations")["split"].tolist()[:2] == ["arrived", "test"]
        assert store.query("report-table-4").iloc[0, 0] != found.arrived.overall.n


def test_arrived_images_that_the_model_has_seen_are_counted_and_left_out(
    settings: Settings, champion: Path, own_phantom: Path, tmp_path: Path
) -> None:
    arrived, home = tmp_path / "arrived", {"MRI_HOME": str(settings.root)}
    write_phantom(tmp_path / "new", per_class=2, seed=7, max_side=96)
    shutil.copytree(tmp_path / "new" / "Papiloma T1", arrived / "Papiloma T1")
    partition = read_metadata(champion).partition(steps.open_manifest(settings, "latest"))
    for number, path in enumerate(partition.rows("train")["path"][:3]):
        target = arrived / Path(path).parent / f"known{number}{Path(path).suffix}"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(own_phantom / path, target)
    done = CliRunner().invoke(app, ["reevaluate", "--arrived", str(arrived)], env=home)
    assert done.exit_code == 0, done.output
    told = "  2 images evaluated; 3 more left out, which the model was trained on or chosen by"
    assert told in done.stdout.splitlines()
    assert max(map(len, done.stdout.splitlines())) <= 100
    shutil.rmtree(arrived)
    tested = partition.rows("test")["path"].iloc[0]
    (arrived / tested).parent.mkdir(parents=True)
    shutil.copy(own_phantom / tested, arrived / tested)
    done = CliRunner().invoke(app, ["reevaluate", "--arrived", str(arrived)], env=home)
    assert "  none of them is new and of a class that the test split has: nothing is compared" in done.stdout


def test_an_evaluation_says_which_images_are_gone_or_changed_on_disk(
    settings: Settings, champion: Path, own_phantom: Path
) -> None:
    def told() -> str:
        done = CliRunner().invoke(app, ["evaluate"], env={"MRI_HOME": str(settings.root)})
        assert done.exit_code == 0
        return done.stderr

    first, second = read_metadata(champion).partition(steps.open_manifest(settings, "latest")).rows("test")["path"][:2]
    assert "warning" not in told()
    (own_phantom / first).unlink()
    (own_phantom / second).write_bytes(b"other")
    assert f"warning: 2 of 44 images are gone or changed on disk, the first: {first}\n" in told()
    own_phantom.rename(own_phantom.with_name("moved"))
    assert f"warning: all 44 images are gone from disk with their folder {own_phantom}\n" in told()


def test_arrived_images_of_unknown_classes_alone_are_an_error_before_anything_is_evaluated(
    settings: Settings, champion: Path, tmp_path: Path, phantom: Path
) -> None:
    shutil.copytree(phantom / "Papiloma T1", tmp_path / "arrived" / "Unheard T2")
    with pytest.raises(MriError, match="cannot be evaluated") as caught:
        api.reevaluate(settings, arrived=tmp_path / "arrived")
    assert "classes of the model" in caught.value.hint
    assert len(api.query(settings, "evaluations")) == 1
