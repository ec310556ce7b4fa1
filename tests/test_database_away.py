"""A results database that is away for a while costs a wait, not a result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mri_model import api, steps
from mri_model.errors import UnavailableError
from mri_model.results.store import Store
from mri_model.settings import Settings
from mri_model.steps import database
from tests.conftest import QUICK

pytestmark = pytest.mark.slow

NOBODY = "postgresql+psycopg://u@127.0.0.1:9/results"


@pytest.fixture
def evaluated(settings: Settings, phantom: Path) -> tuple[Path, Any]:
    """A model and what it answers, not recorded."""
    manifest = api.ingest(settings, phantom)
    (folder,) = api.train(settings, replace(QUICK, epochs=1)).folders
    return folder, steps.evaluate_model(settings, folder, manifest, "test", "cpu")


def record(settings: Settings, evaluated: tuple[Path, Any], log: Any = lambda line: None) -> None:
    manifest = steps.open_manifest(settings, "latest")
    steps.record_evaluation(settings, evaluated[0], manifest, "test", evaluated[1], log)


def test_an_evaluation_is_kept_and_recorded_by_the_next_command(
    settings: Settings, evaluated: tuple[Path, Any], postgresql_url: str
) -> None:
    away = settings.model_copy(update={"database_url": NOBODY, "database_seconds": 0})
    with pytest.raises(UnavailableError, match=f"the evaluation is kept in {settings.unrecorded}"):
        record(away, evaluated)
    there, lines = settings.model_copy(update={"database_url": postgresql_url}), []
    steps.check_database(there, lines.append)
    assert lines == [f"recorded {evaluated[1].id}, which had waited for the database"]
    assert not list(settings.unrecorded.iterdir())
    with steps.open_store(there) as store:
        kept = store.query("evaluations")
        assert (kept["id"].tolist(), kept["n"].tolist()) == ([evaluated[1].id], [44])
        assert len(store.evaluated_images(evaluated[1].id)) == 44
    steps.check_database(there, lines.append)
    assert len(lines) == 1


def test_an_evaluation_that_waits_is_deleted_with_its_model(
    settings: Settings, evaluated: tuple[Path, Any], postgresql_url: str
) -> None:
    away = settings.model_copy(update={"database_url": NOBODY, "database_seconds": 0})
    with pytest.raises(UnavailableError):
        record(away, evaluated)
    there = settings.model_copy(update={"database_url": postgresql_url})
    deletion = api.plan_deletion(there, evaluated[0].name)
    assert deletion.files == (evaluated[0], settings.unrecorded / evaluated[1].id)
    api.delete(there, deletion)
    steps.check_database(there)
    assert api.query(there, "evaluations").empty


def test_writing_waits_for_a_database_that_comes_back(
    settings: Settings, evaluated: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts, lines = iter([UnavailableError("no answer"), UnavailableError("no answer"), None]), []

    @contextmanager
    def open_store(asked: Settings) -> Iterator[Store]:
        if error := next(attempts, None):
            raise error
        with Store.open(asked.results_url) as store:
            yield store

    monkeypatch.setattr(database, "open_store", open_store)
    monkeypatch.setattr(database, "RETRY_SECONDS", 0)
    record(settings, evaluated, lines.append)
    assert [line.partition(" for ")[0] for line in lines] == ["no answer; trying again"] * 2
    assert len(api.query(settings, "evaluations")) == 1


def test_an_evaluation_that_was_not_kept_whole_is_left_alone(settings: Settings) -> None:
    half = settings.unrecorded / "evaluation-1"
    half.mkdir(parents=True)
    (half / "class_metric.parquet").write_bytes(b"PAR1")
    steps.check_database(settings)
    assert half.is_dir()
