import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mri_model import api, steps
from mri_model.errors import MriError, RefusedError
from mri_model.settings import Settings
from tests.conftest import QUICK


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings on SQLite, then the same on PostgreSQL."""
    if request.param == "postgresql":
        monkeypatch.setenv("MRI_DATABASE_URL", request.getfixturevalue("postgresql_url"))
    yield Settings()


@pytest.mark.slow
def test_the_whole_line_runs_on_both_databases(anywhere: Settings, phantom: Path) -> None:
    recipes = [QUICK, replace(QUICK, image_size=40)]
    tables = api.reproduce(anywhere, phantom, recipes)
    api.score(anywhere, phantom)
    with steps.open_store(anywhere) as store:
        assert len(store.query("evaluations")) == 1
    assert [len(table) for table in tables.values()] == [3, 15, 2, 3, 44, 3]
    assert tables["report-table-1"]["n"].sum() == tables["report-table-2"]["n"].sum() == 44 * 4


@pytest.mark.slow
def test_the_best_size_by_validation_f1_is_the_one_evaluated(settings: Settings, phantom: Path) -> None:
    api.reproduce(settings, phantom, [replace(QUICK, epochs=1, learning_rate=1e-6), replace(QUICK, epochs=5)])
    with steps.open_store(settings) as store:
        models, evaluations = store.query("models"), store.query("evaluations")
    assert models["val_f1"].nunique() == 2
    assert evaluations["model_id"].tolist() == [models.loc[models["val_f1"].idxmax(), "id"]]


def test_a_manifest_with_other_classes_is_refused_and_names_them(
    settings: Settings, phantom: Path, own_phantom: Path
) -> None:
    api.ingest(settings, phantom)
    api.train(settings, replace(QUICK, epochs=1))
    (own_phantom / "Meningioma T2").rename(own_phantom / "Unheard T2")
    other = api.ingest(settings, own_phantom)
    with pytest.raises(RefusedError, match="does not know Unheard T2"):
        api.evaluate(settings, manifest_name=other.digest)


def test_the_validation_result_is_kept_even_when_the_data_is_refused(settings: Settings, phantom: Path) -> None:
    with pytest.raises(RefusedError):
        api.ingest(settings, phantom, "brain-tumor-44c")
    result = (settings.manifests / "validation.json").read_text()
    assert '"success": false' in result
    assert "published number" in result


@pytest.mark.parametrize("call", ["train", "evaluate", "score"])
def test_a_stage_without_the_one_before_says_what_to_run(settings: Settings, phantom: Path, call: str) -> None:
    calls = {
        "train": lambda: api.train(settings, QUICK),
        "evaluate": lambda: api.evaluate(settings),
        "score": lambda: api.score(settings, phantom),
    }
    with pytest.raises(MriError) as caught:
        calls[call]()
    assert caught.value.hint.startswith("run: mri ")


def test_a_database_that_is_not_there_is_said_before_any_work(
    settings: Settings, phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_DATABASE_URL", "postgresql+psycopg://u:secret@127.0.0.1:9/none")
    with pytest.raises(MriError) as caught:
        api.ingest(Settings(), phantom)
    assert "secret" not in f"{caught.value}{caught.value.hint}"
    assert not settings.manifests.exists()


def test_a_missing_weights_file_is_said_before_the_images_are_decoded(settings: Settings, phantom: Path) -> None:
    api.ingest(settings, phantom)
    with pytest.raises(MriError, match="no weights file"):
        api.train(settings, replace(QUICK, weights="nowhere.pth"))
    assert not settings.pixels.exists()


def test_the_home_is_given_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MRI_HOME", raising=False)
    monkeypatch.delenv("MRI_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Settings().root == Path(os.path.realpath(tmp_path)) / "mri-home"
    assert str(Settings().results_url) == f"sqlite:///{os.path.realpath(tmp_path)}/mri-home/results.db"


def test_a_sqlite_file_is_one_file_from_wherever_a_run_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRI_DATABASE_URL", "sqlite:///some/results.db")
    assert str(Settings().results_url) == f"sqlite:///{os.path.realpath(tmp_path)}/some/results.db"
    monkeypatch.setenv("MRI_DATABASE_URL", "postgresql://host/name")
    assert str(Settings().results_url) == "postgresql://host/name"


def test_questions_take_the_words_for_models_that_evaluation_takes(settings: Settings, phantom: Path) -> None:
    api.ingest(settings, phantom)
    (folder,) = api.train(settings, QUICK).folders
    for word in ("champion", "best", "latest"):
        assert api.ask(settings, "classes", {"model": word}).reason.startswith(f"model {folder.name} has no test")
    with pytest.raises(MriError, match="no model has an id that starts with 'newest'"):
        api.ask(settings, "classes", {"model": "newest"})
