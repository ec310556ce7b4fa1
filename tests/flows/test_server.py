"""`mri up` and `mri down`: a real server, a real worker, real deployments."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest

from mri_model import api, server
from mri_model.errors import MriError
from mri_model.files import write_json
from mri_model.local_prefect.processes import Background, Child, free_port, runs, with_variable
from mri_model.settings import Settings
from tests.flows.conftest import say

FLOWS = {"ingest-mri", "train-mri", "evaluate-mri", "score-mri", "reproduce-report"}


@pytest.fixture
def tiny_project(tmp_path: Path) -> Path:
    """A project of one flow that needs nothing."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "tiny.py").write_text(
        textwrap.dedent(
            """
            from time import sleep
            from prefect import flow

            @flow(name="tiny")
            def tiny(seconds: float = 0.0) -> None:
                sleep(seconds)
            """
        )
    )
    pull = {"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}
    tiny = {"name": "tiny", "entrypoint": "tiny.py:tiny", "work_pool": {"name": server.POOL}}
    (project / "prefect.yaml").write_text(json.dumps({"name": "x", "pull": [pull], "deployments": [tiny]}))
    return project


def call(running: server.Running, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{running.api_url}/{path}", data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def run_deployment(running: server.Running, name: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "run", f"{name}/{name}", *options],
        env=os.environ | {"PREFECT_API_URL": running.api_url, "PREFECT_HOME": str(running.home)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def await_that(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def state_of_tiny(home: Path) -> str:
    """What the server's database says, whether the server runs or not."""
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        query = "SELECT state_name FROM flow_run JOIN flow ON flow_id = flow.id WHERE flow.name = 'tiny'"
        return str(database.execute(query).fetchone()[0])


@pytest.mark.server
def test_up_makes_the_pool_the_limit_the_deployments_and_the_schedule(running: server.Running) -> None:
    assert running.started
    assert running.api_url.startswith("http://127.0.0.1:")
    assert server.export_line(running) == f"export PREFECT_API_URL={running.api_url} DO_NOT_TRACK=1"
    assert call(running, "work_pools/mri")["type"] == "process"
    assert call(running, "v2/concurrency_limits/gpu")["limit"] == 1

    deployments = {found["name"]: found for found in call(running, "deployments/filter", {})}
    assert set(deployments) == FLOWS
    assert all(found["work_pool_name"] == "mri" for found in deployments.values())
    schedules = {name: found["schedules"] for name, found in deployments.items() if found["schedules"]}
    assert list(schedules) == ["evaluate-mri"]
    weekly = schedules["evaluate-mri"][0]
    assert weekly["active"]
    assert (weekly["schedule"]["cron"], weekly["schedule"]["timezone"]) == ("0 3 * * 1", "UTC")
    await_that(lambda: call(running, "flow_runs/count", {"flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}}))


@pytest.mark.server
def test_a_deployed_training_completes_and_its_rows_are_in_the_database(
    own: Settings, running: server.Running, phantom: Path
) -> None:
    api.ingest(own, phantom, on_invalid="quarantine")
    small = ["weights=none", "image_size=32", "batch_size=32", "epochs=2", "device=cpu"]
    options = [part for parameter in small for part in ("-p", parameter)]
    assert "Completed" in run_deployment(running, "train-mri", "--watch", *options)

    with closing(sqlite3.connect(own.root / "results.db")) as database:
        (model,) = database.execute("SELECT id FROM model").fetchone()
        epochs = database.execute("SELECT count(*) FROM epoch WHERE model_id = ?", [model]).fetchone()
    assert epochs == (2,)
    assert (own.models / model / "model.safetensors").exists()

    deployed = {"flows": {"name": {"any_": ["train-mri"]}}, "flow_runs": {"deployment_id": {"is_null_": False}}}
    (run,) = call(running, "flow_runs/filter", deployed)
    tasks = call(running, "task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert {"train network", "record model"} <= {task["name"].rsplit("-", 1)[0] for task in tasks}
    artifacts = call(running, "artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert "learning-curve" in {artifact["key"] for artifact in artifacts}
    logs = call(running, "logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
    assert sum("epoch" in line["message"] for line in logs) >= 2


def kill_all(home: Path) -> None:
    """Worker, flow runs and server at once, without a word."""
    found = with_variable(server.MARK, str(home / "prefect"))
    main = Background(home / "prefect").process("server")
    assert main
    found += [main, *main.children(recursive=True)]
    for process in found:
        process.kill()
    psutil.wait_procs(found, timeout=10)


def train_slowly(*, watch: bool) -> list[str]:
    chosen = ["weights=none", "image_size=64", "batch_size=8", "epochs=6", "device=cpu", "seed=7"]
    return ["--watch"] * watch + [part for parameter in chosen for part in ("-p", parameter)]


@pytest.mark.server
def test_a_training_killed_with_its_server_frees_the_gpu_slot_and_goes_on_when_run_again(
    tmp_path: Path, phantom: Path
) -> None:
    own = Settings(home=tmp_path)
    api.ingest(own, phantom)

    def slots(running: server.Running) -> int:
        return int(call(running, "v2/concurrency_limits/gpu")["active_slots"])

    def epochs() -> list[str]:
        return [line for file in own.models.glob("*/history.csv") for line in file.read_text().splitlines()[1:]]

    try:
        first = server.up(own, say)
        run_deployment(first, "train-mri", *train_slowly(watch=False))
        await_that(epochs)
        before = epochs()
        assert slots(first) == 1
        kill_all(own.root)
        assert len(before) < 6

        again = server.up(own, say)
        await_that(lambda: slots(again) == 0, seconds=150)
        assert "Completed" in run_deployment(again, "train-mri", *train_slowly(watch=True))
        assert epochs()[: len(before)] == before
        assert len(epochs()) == 6
        assert slots(again) == 0
    finally:
        server.down(own, say)


@pytest.mark.server
def test_up_again_starts_nothing_but_what_is_dead(own: Settings, running: server.Running, tiny_project: Path) -> None:
    again = server.up(own, say, project=tiny_project)
    assert not again.started
    assert (again.server_pid, again.worker_pid) == (running.server_pid, running.worker_pid)

    worker = psutil.Process(again.worker_pid)
    worker.kill()
    worker.wait(10)
    mended = server.up(own, say, project=tiny_project)
    assert mended.server_pid == running.server_pid
    assert mended.worker_pid not in (None, running.worker_pid)
    assert server.status(own) == mended


@pytest.mark.server
def test_a_server_that_is_already_there_is_used_and_left_alone(
    own: Settings,
    running: server.Running,
    tiny_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", running.api_url + "/")
    other = Settings(home=tmp_path / "other")
    try:
        guest = server.up(other, say, project=tiny_project)
        assert (guest.api_url, guest.server_pid, guest.started) == (running.api_url, None, False)
        assert server.down(other, say)
    finally:
        server.down(other, say)
    assert not alive(guest.worker_pid)
    assert call(running, "health") is True
    untouched = server.status(own)
    assert untouched and untouched.worker_pid and untouched.server_pid == running.server_pid


@pytest.mark.server
def test_a_failing_deployment_leaves_nothing_behind(
    running: server.Running, tiny_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", running.api_url)
    (tiny_project / "tiny.py").unlink()
    other = Settings(home=tmp_path / "other")
    with pytest.raises(MriError, match=r"Deploying failed: .*tiny\.py") as failed:
        server.up(other, say, project=tiny_project)
    assert "deploy.log" in failed.value.hint
    assert server.status(other) is None
    assert not with_variable(server.MARK, str(other.root / "prefect"))


@pytest.mark.server
def test_down_ends_runs_and_leaves_no_process(own: Settings, running: server.Running, tiny_project: Path) -> None:
    server.up(own, say, project=tiny_project)
    run_deployment(running, "tiny", "-p", "seconds=100")
    await_that(lambda: state_of_tiny(running.home) == "Running")
    mark = (server.MARK, str(own.root / "prefect"))
    assert len(with_variable(*mark)) == 2  # the worker and the run

    assert server.down(own, say)
    assert not any(map(runs, with_variable(*mark)))
    assert not alive(running.server_pid)
    assert state_of_tiny(running.home) == "Crashed"  # not "Running" for good
    assert server.status(own) is None
    assert not (running.home / "up.json").exists()
    assert not server.down(own, say)


def alive(pid: int | None) -> bool:
    return pid is not None and psutil.pid_exists(pid) and runs(psutil.Process(pid))


def test_a_server_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    with pytest.raises(MriError, match="No Prefect server answers") as failed:
        server.up(Settings(home=tmp_path), say)
    assert "unset PREFECT_API_URL" in failed.value.hint


def test_the_address_of_our_own_stopped_server_is_not_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell keeps PREFECT_API_URL after `mri down`, and `mri up` must still work there."""
    address = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    write_json(tmp_path / "prefect" / "last-url.json", address)
    assert server._foreign_server(server._State(Settings(home=tmp_path)), say) is None


def test_nothing_is_up_in_a_new_home(tmp_path: Path) -> None:
    own = Settings(home=tmp_path / "new")
    assert server.status(own) is None
    assert not server.down(own, say)
    assert not own.root.exists()


def test_a_recycled_pid_is_not_taken_for_our_process(tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        created = psutil.Process(stranger.pid).create_time()
        Background(tmp_path / "prefect").record("server", Child(stranger.pid, created - 100, "http://x/api"))
        assert server.status(own) is None
        assert not server.down(own, say)
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_that_dies_while_starting_is_quoted(tmp_path: Path) -> None:
    background = Background(tmp_path)
    script = "print('Port 4200 is already in use.\\n\\nServer stopped!')"
    background.start("server", [sys.executable, "-c", script], dict(os.environ), "http://x/api")
    with pytest.raises(MriError, match=r"died while starting: Port 4200 is already in use") as failed:
        background.wait("server", lambda: False, 30)
    assert str(tmp_path / "server.log") in failed.value.hint
