"""The flows called from Python, against a real server: what they return, show and say."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pandas as pd
import pytest

from mri_model import steps
from mri_model.errors import MriError, UnavailableError
from mri_model.local_prefect import server
from mri_model.settings import Settings

ROOT = Path(__file__).parents[2]
SMALL = {"sizes": [32, 40], "epochs": 1, "batch_size": 32, "learning_rate": 0.05, "weights": "none", "device": "cpu"}


@pytest.fixture
def inside(running: server.Running, settings: Settings) -> Iterator[Settings]:
    """A home of its own, and Prefect's client on the running server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: running.api_url}):
        yield settings


def ask(running: server.Running, what: str, **filters: Any) -> Any:
    body = json.dumps(filters).encode()
    request = Request(f"{running.api_url}/{what}/filter", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.server
def test_reproduce_gives_the_six_tables_as_result_and_as_artifacts(
    inside: Settings, running: server.Running, phantom: Path
) -> None:
    from flows.reproduce import reproduce_report

    tables = reproduce_report(phantom, **SMALL)
    assert [len(table) for table in tables.values()] == [3, 15, 2, 3, 44, 3]
    keys = {artifact["key"] for artifact in ask(running, "artifacts")}
    assert {f"report-table-{number}" for number in range(1, 7)} <= keys
    assert {
        "validation",
        "quality",
        "quality-issues",
        "learning-curve",
        "train-network-progress",
        "evaluation-classes",
        "report-page",
    } <= keys
    (page,) = inside.reports.glob("model-*.html")
    shown = [each["data"] for each in ask(running, "artifacts") if each["key"] == "report-page"]
    assert any(str(page) in text for text in shown)
    names = {run["name"].rsplit("-", 1)[0] for run in ask(running, "task_runs")}
    assert {"take inventory", "validate inventory", "train network", "evaluate model", "record evaluation"} <= names


@pytest.mark.server
def test_score_writes_a_row_for_every_file_and_shows_the_series(
    inside: Settings, running: server.Running, own_phantom: Path
) -> None:
    pytest.importorskip("nibabel")
    from flows.evaluate import evaluate_mri
    from flows.ingest import ingest_mri
    from flows.score import score_mri
    from flows.train import train_mri
    from tests.medical_files import write_nifti

    ingest_mri(own_phantom)
    train_mri(image_size=32, epochs=1, weights="none", batch_size=32)
    evaluate_mri(split="val")
    (own_phantom / "broken.jpeg").write_bytes(b"broken")
    write_nifti(own_phantom / "volume.nii")
    run = score_mri(own_phantom)
    with steps.open_store(inside) as store:
        runs, evaluations = store.query("scored-runs"), store.query("evaluations")
    assert runs.loc[0, ["id", "n_found", "n_rejected"]].tolist() == [run, 177 + 8, 1]
    assert evaluations["split"].tolist() == ["val"]
    assert (inside.scores / f"{run}.parquet").is_file()
    (shown,) = [each for each in ask(running, "artifacts") if each["key"] == "scoring-series"]
    assert shown["description"].startswith("1 series: ")
    assert json.loads(shown["data"])[0]["slices"] == "8 of 8"


@pytest.mark.server
@pytest.mark.usefixtures("inside")
def test_refused_data_is_a_failed_state_that_names_the_rule_without_a_traceback(
    running: server.Running, phantom: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from flows.ingest import ingest_mri

    state = ingest_mri(phantom, "brain-tumor-44c", return_state=True)
    assert state.is_failed()
    assert state.name == "Refused"
    assert "every class has exactly the published number of images" in str(state.message)
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.server
@pytest.mark.usefixtures("inside")
def test_a_flow_fails_with_the_words_of_the_flow_it_called(tmp_path: Path) -> None:
    from flows.reproduce import reproduce_report

    state = reproduce_report(tmp_path / "nowhere", **SMALL, return_state=True)
    assert state.is_failed()
    assert "there is no folder" in str(state.message)
    assert "give the folder that holds the class folders" in str(state.message)


@pytest.mark.server
@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (UnavailableError("the database does not answer", "wait"), 2),
        (ConnectionError("reset"), 2),
        (MriError("there is no folder", "give another"), 1),
    ],
)
def test_a_step_is_retried_unless_only_the_user_can_fix_its_error(
    error: Exception, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow

    from tasks import runner

    monkeypatch.setattr(runner, "RETRY_SECONDS", 0)
    calls = []

    def write_rows() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error

    @flow
    def stage() -> None:
        runner.TaskRunner()(write_rows)

    stage(return_state=True)
    assert len(calls) == attempts


@pytest.mark.server
@pytest.mark.usefixtures("inside")
def test_a_server_that_takes_no_artifacts_neither_repeats_nor_stops_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prefect import flow

    from mri_model.progress import ProgressCallback
    from tasks import artifacts, runner

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("the server is away")

    for name in ("create_progress_artifact", "update_progress_artifact", "create_table_artifact"):
        monkeypatch.setattr(artifacts, name, refuse)
    calls = []

    def work(progress: ProgressCallback) -> int:
        calls.append(1)
        progress("work", 1, 1)
        return 7

    monkeypatch.setitem(artifacts.SHOWN, work, lambda result: artifacts.show_table("work", pd.DataFrame(), ""))

    @flow
    def stage() -> int:
        return runner.TaskRunner()(work)

    assert stage() == 7
    assert len(calls) == 1


@pytest.mark.server
def test_a_reevaluation_that_finds_other_answers_ends_as_changed_and_emits_an_event(
    inside: Settings, running: server.Running, phantom: Path
) -> None:
    from flows.evaluate import evaluate_mri
    from flows.ingest import ingest_mri
    from flows.train import train_mri

    ingest_mri(phantom)
    train_mri(image_size=32, epochs=1, weights="none", batch_size=32)
    for _ in range(2):
        assert evaluate_mri(return_state=True).is_completed()
    with steps.open_store(inside) as store, store.writing() as connection:
        connection.exec_driver_sql("UPDATE evaluated_image SET probability = 1 - probability")
    state = evaluate_mri(return_state=True)
    assert (state.is_failed(), state.name) == (True, "Changed")
    assert "on frozen images 0 of 44 answers differ" in str(state.message)
    (event,) = events(running, "mri.evaluation.changed")
    assert event["resource"]["prefect.resource.id"].startswith("mri.model.resnet18-32px")
    assert event["payload"]["problems"][0] in str(state.message)


def events(running: server.Running, name: str) -> list[dict[str, Any]]:
    """The events of a name, which the server takes a moment to store."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := ask(running, "events", filter={"event": {"name": [name]}})["events"]:
            return list(found)
        time.sleep(0.5)
    return []


@pytest.mark.server
@pytest.mark.usefixtures("inside")
def test_the_example_automation_turns_the_event_into_a_webhook() -> None:
    import yaml
    from prefect.automations import Automation
    from prefect.blocks.webhook import Webhook
    from prefect.events import emit_event

    with listening() as (url, received):
        block = Webhook(url=url, allow_private_urls=True).save(f"mri-changed-{uuid4().hex[:8]}")
        example = (ROOT / "docs" / "automation.yaml").read_text(encoding="utf-8")
        automation = Automation(**yaml.safe_load(example.replace("00000000-0000-0000-0000-000000000000", str(block))))
        automation.create()  # type: ignore[unused-coroutine]
        deadline = time.monotonic() + 60
        while not received and time.monotonic() < deadline:
            emit_event(
                "mri.evaluation.changed", {"prefect.resource.id": "mri.model.m"}, payload={"problems": ['a "b"']}
            )
            time.sleep(2)
    assert json.loads(received[0]) == {"model": "mri.model.m", "problems": ['a "b"']}


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """A web server on this machine: its address and the bodies it has been sent."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}/", received
        web.shutdown()
