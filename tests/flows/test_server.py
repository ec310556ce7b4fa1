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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from mri_model import api
from mri_model.errors import MriError
from mri_model.local_prefect import server
from mri_model.local_prefect.prefect_api import PrefectApi
from mri_model.local_prefect.processes import Background, runs, with_variable
from mri_model.settings import Settings
from tests.flows.conftest import say

FLOWS = {"ingest-mri", "train-mri", "evaluate-mri", "score-mri", "watch-incoming", "reproduce-report"}


def write_project(project: Path, name: str, schedules: list[dict[str, str]]) -> Path:
    """A project of one flow that needs nothing; deployment and flow are both called ``name``."""
    project.mkdir()
    (project / "tiny.py").write_text(
        textwrap.dedent(
            f"""
            import signal
            from time import sleep
            from prefect import flow

            @flow(name="{name}")
            def tiny(seconds: float = 0.0, stubborn: bool = False) -> None:
                if stubborn:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                sleep(seconds)
            """
        )
    )
    pull = {"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}
    tiny = {"name": name, "entrypoint": "tiny.py:tiny", "work_pool": {"name": server.POOL}, "schedules": schedules}
    (project / "prefect.yaml").write_text(json.dumps({"name": "x", "pull": [pull], "deployments": [tiny]}))
    return project


@pytest.fixture
def tiny_project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", "tiny", [])


def call(running: server.Running, path: str, body: dict[str, Any] | None = None) -> Any:
    return PrefectApi(running.api_url).call(path, body)


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


def await_that(holds: Callable[[], Any], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def states_of_tiny(home: Path) -> list[str]:
    """The states in the server's database, which can be read whether or not the server is up."""
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        query = "SELECT state_name FROM flow_run JOIN flow ON flow_id = flow.id WHERE flow.name = 'tiny'"
        return [state for (state,) in database.execute(query)]


@pytest.mark.server
def test_tests_of_the_server_share_a_process(request: pytest.FixtureRequest) -> None:
    """Two processes would start two servers, which take each other's port."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("one process runs all tests")
    assert request.node.nodeid.endswith("@server")


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
    assert set(schedules) == {"evaluate-mri", "watch-incoming"}
    assert schedules["watch-incoming"][0]["schedule"]["interval"] == 60
    weekly = schedules["evaluate-mri"][0]
    assert weekly["active"]
    assert (weekly["schedule"]["cron"], weekly["schedule"]["timezone"]) == ("0 3 * * 1", "UTC")
    await_that(lambda: call(running, "flow_runs/count", {"flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}}))


@pytest.mark.server
def test_a_deployed_training_completes_and_its_rows_are_in_the_database(
    own: Settings, running: server.Running, phantom: Path
) -> None:
    api.ingest(own, phantom, on_invalid="quarantine")
    before = set(own.models.glob("resnet18-*"))
    small = ["weights=none", "image_size=32", "batch_size=32", "epochs=2", "device=cpu"]
    options = [part for parameter in small for part in ("-p", parameter)]
    assert "Completed" in run_deployment(running, "train-mri", "--watch", *options)

    (model,) = (folder.name for folder in set(own.models.glob("resnet18-*")) - before)
    with closing(sqlite3.connect(own.root / "results.db")) as database:
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
    await_that(lambda: active_slots(running) == 0)


def kill_all(home: Path) -> None:
    """Kill worker, flow runs and server at once."""
    found = with_variable(server.MARK, str(home / "prefect"))
    main = Background(home / "prefect").process("server")
    assert main
    found += [main, *main.children(recursive=True)]
    for process in found:
        process.kill()
    psutil.wait_procs(found, timeout=10)


def active_slots(running: server.Running) -> int:
    return int(call(running, "v2/concurrency_limits/gpu")["active_slots"])


@pytest.mark.server
def test_a_training_killed_with_its_server_frees_the_gpu_slot_and_resumes_when_run_again(
    tmp_path: Path, phantom: Path
) -> None:
    own = Settings(home=tmp_path)
    api.ingest(own, phantom)
    # It never ends by itself, so however slow the machine is, it is killed while it trains.
    chosen = ["weights=none", "image_size=32", "batch_size=32", "epochs=10000", "device=cpu", "seed=7"]
    options = [part for parameter in chosen for part in ("-p", parameter)]

    def epochs() -> list[str]:
        """The rows of the history; each holds the seconds that its epoch took, so a repeated epoch has another row."""
        return [line for file in own.models.glob("*/history.csv") for line in file.read_text().splitlines()[1:]]

    try:
        first = server.up(own, say)
        run_deployment(first, "train-mri", *options)
        await_that(epochs)
        assert active_slots(first) == 1
        kill_all(own.root)
        before = epochs()

        again = server.up(own, say)
        await_that(lambda: active_slots(again) == 0)
        assert epochs() == before
        run_deployment(again, "train-mri", *options)
        await_that(lambda: len(epochs()) > len(before))
        assert epochs()[: len(before)] == before
        assert active_slots(again) == 1
    finally:
        server.down(own, say)


@pytest.mark.server
def test_up_again_starts_nothing_but_what_is_dead(own: Settings, running: server.Running, tiny_project: Path) -> None:
    before = server.up(own, say, project=tiny_project)
    again = server.up(own, say, project=tiny_project)
    assert not again.started
    assert (again.server_pid, again.worker_pid) == (before.server_pid, before.worker_pid)
    assert before.server_pid == running.server_pid

    worker = psutil.Process(again.worker_pid)
    worker.kill()
    worker.wait(10)
    repaired = server.up(own, say, project=tiny_project)
    assert repaired.server_pid == running.server_pid
    assert repaired.worker_pid not in (None, before.worker_pid)
    assert server.status(own) == repaired


@pytest.mark.server
def test_missed_schedules_are_caught_up_once(own: Settings, running: server.Running, tmp_path: Path) -> None:
    """Of each schedule the latest missed run is run; what a person started and what is to come are not touched."""
    schedules = [{"slug": f"on-{day}", "cron": f"0 3 * * {day}", "timezone": "UTC"} for day in ("mon", "thu")]
    project = write_project(tmp_path / "scheduled", "scheduled", schedules)
    worker = psutil.Process(server.up(own, say, project=project).worker_pid)
    worker.kill()
    worker.wait(10)
    (deployment,) = call(running, "deployments/filter", {"deployments": {"name": {"any_": ["scheduled"]}}})
    now = datetime.now(UTC)
    missed = {"start_time": (now - timedelta(days=21)).isoformat(), "end_time": now.isoformat(), "min_runs": 3}
    call(running, f"deployments/{deployment['id']}/schedule", missed)
    run_deployment(running, "scheduled", "--start-at", (now - timedelta(days=20)).isoformat())

    def runs_due() -> list[dict[str, Any]]:
        due = {"deployment_id": {"any_": [deployment["id"]]}, "expected_start_time": {"before_": now.isoformat()}}
        return call(running, "flow_runs/filter", {"flow_runs": due, "sort": "EXPECTED_START_TIME_DESC"})

    assert [run["state_type"] for run in runs_due()] == ["SCHEDULED"] * 7
    server.up(own, say, project=project)
    await_that(lambda: all(run["state_type"] in ("COMPLETED", "CANCELLED") for run in runs_due()))
    scheduled = [run for run in runs_due() if run["auto_scheduled"]]
    assert [run["state_name"] for run in scheduled] == ["Completed"] * 2 + ["Skipped"] * 4
    assert {run["created_by"]["display_value"] for run in scheduled[:2]} == {"on-mon", "on-thu"}
    assert [run["state_name"] for run in runs_due() if not run["auto_scheduled"]] == ["Completed"]
    to_come = {"deployment_id": {"any_": [deployment["id"]]}, "expected_start_time": {"after_": now.isoformat()}}
    await_that(lambda: call(running, "flow_runs/count", {"flow_runs": to_come}))


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
    """Also one that does not end when it is told to: it is killed, and does not stay Running."""
    server.up(own, say, project=tiny_project)
    run_deployment(running, "tiny", "-p", "seconds=3600")
    run_deployment(running, "tiny", "-p", "seconds=3600", "-p", "stubborn=true")
    await_that(lambda: states_of_tiny(running.home) == ["Running"] * 2)
    mark = (server.MARK, str(own.root / "prefect"))
    up = server.status(own)
    assert up
    assert {process.pid for process in with_variable(*mark)} > {up.worker_pid}  # the run's process as well

    assert server.down(own, say)
    assert not any(map(runs, with_variable(*mark)))
    assert not alive(running.server_pid)
    assert states_of_tiny(running.home) == ["Crashed"] * 2
    assert server.status(own) is None
    assert not (running.home / "up.json").exists()
    assert not server.down(own, say)


def alive(pid: int | None) -> bool:
    return pid is not None and psutil.pid_exists(pid) and runs(psutil.Process(pid))
