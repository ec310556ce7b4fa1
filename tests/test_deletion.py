"""Deleting a model or a sweep: which files go, and which ones never do."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mri_model import api, steps
from mri_model.cli.main import app
from mri_model.settings import Settings
from tests.results import result_samples as samples


@pytest.fixture
def home(settings: Settings) -> Settings:
    """Two models of a cross-validation and one without folders of their own content, a scoring run, pages."""
    with steps.open_store(settings) as store:
        for name in ("f1", "f2", "other"):
            folder = settings.models / name
            folder.mkdir(parents=True)
            (folder / "model.json").write_text("{}")
            samples.record_model(store, id=name, path=str(folder))
        store.record_sweep({"id": "folds-1", "kind": "folds"}, ["f1", "f2"])
        samples.record_evaluation(store, id="pooled", model_id=None, sweep_id="folds-1")
        parquet = settings.scores / "r1.parquet"
        samples.record_run(store, id="r1", model_id="f1", parquet=str(parquet))
    settings.scores.mkdir()
    parquet.write_text("scores")
    settings.reports.mkdir()
    for name in ("model-f1", "model-other", "sweep-folds-1"):
        for ending in ("", "-with-images"):
            (settings.reports / f"{name}{ending}.html").write_text("a page")
    return settings


def files_of(settings: Settings) -> set[str]:
    folders = (settings.models, settings.scores, settings.reports)
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(settings.root)) for path in found}


def run(settings: Settings, *words: str) -> str:
    done = CliRunner().invoke(app, ["delete", *words], env={"MRI_HOME": str(settings.root)})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_copied_home_deletes_its_own_files_only(home: Settings, tmp_path: Path) -> None:
    copy = Settings(home=Path(shutil.copytree(home.root, tmp_path / "copy")))
    before = files_of(home)
    shown = run(copy, "f1")
    for path in (home.models / "f1", home.scores / "r1.parquet"):
        assert f"  not below MRI_HOME: left alone  {path}\n" in shown
    run(copy, "f1", "--yes")
    assert files_of(home) == before
    assert files_of(copy) == {
        "models/f2/model.json",
        "models/other/model.json",
        "reports/model-other.html",
        "reports/model-other-with-images.html",
    }


def test_a_scoring_run_of_a_copied_home_goes_without_the_original_file(home: Settings, tmp_path: Path) -> None:
    copy = Settings(home=Path(shutil.copytree(home.root, tmp_path / "copy")))
    run(copy, "r1", "--yes")
    assert (home.scores / "r1.parquet").is_file() and not (copy.scores / "r1.parquet").exists()


def test_a_home_that_moved_deletes_the_files_where_they_are(home: Settings, tmp_path: Path) -> None:
    moved = Settings(home=home.root.rename(tmp_path / "moved"))
    assert "left alone" not in run(moved, "f1", "--yes")
    assert not (moved.models / "f1").exists() and not (moved.scores / "r1.parquet").exists()


def test_a_model_that_lies_elsewhere_is_left_alone(home: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with steps.open_store(home) as store:
        samples.record_model(store, id="given", path=str(elsewhere))
        samples.record_model(store, id="..", path=str(home.root))
    assert f"left alone  {elsewhere}" in run(home, "given", "--yes")
    assert elsewhere.is_dir()
    before = files_of(home)
    run(home, "..", "--yes")
    assert files_of(home) == before


def test_the_folder_behind_a_link_is_left_alone(home: Settings, tmp_path: Path) -> None:
    elsewhere = (home.models / "other").rename(tmp_path / "elsewhere")
    (home.models / "other").symlink_to(elsewhere)
    run(home, "other", "--yes")
    assert (elsewhere / "model.json").is_file() and not (home.models / "other").is_symlink()


def test_the_pages_of_a_model_go_also_those_with_pictures(home: Settings) -> None:
    shown = run(home, "other", "--yes")
    for name in ("model-other.html", "model-other-with-images.html"):
        assert str(home.reports / name) in shown and not (home.reports / name).exists()


def test_the_pages_of_a_cross_validation_go_with_its_first_model(home: Settings) -> None:
    shown = run(home, "f2")
    assert "  with the pooled evaluation of folds-1: the model is a part of it\n" in shown
    for name in ("sweep-folds-1.html", "sweep-folds-1-with-images.html"):
        assert f"  {home.reports / name}\n" in shown and (home.reports / name).is_file()
    run(home, "f2", "--yes")
    assert not list(home.reports.glob("sweep-*"))
    assert api.query(home, "sweeps")["models"].tolist() == [1]


def test_a_sweep_goes_with_its_models_and_pages(home: Settings) -> None:
    shown = run(home, "folds-1")
    assert "sweep folds-1\n  with f1\n  with f2\n" in shown and "nothing is deleted yet" in shown
    run(home, "folds-1", "--yes")
    assert files_of(home) == {
        "models/other/model.json",
        "reports/model-other.html",
        "reports/model-other-with-images.html",
    }
    assert api.query(home, "models")["id"].tolist() == ["other"] and api.query(home, "sweeps").empty


def test_a_copied_home_reads_its_own_model_folders(home: Settings, tmp_path: Path) -> None:
    copy = Settings(home=Path(shutil.copytree(home.root, tmp_path / "copy")))
    assert steps.model_folder(copy, "f1", home.models / "f1") == copy.models / "f1"
    shutil.rmtree(copy.models / "f1")
    assert steps.model_folder(copy, "f1", home.models / "f1") == home.models / "f1"
