"""Incoming folders and shared scoring runs, with a real server and worker."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from mri_model import api
from mri_model.local_prefect import server
from mri_model.settings import Settings
from tests.flows.conftest import await_that, flow_runs, kill_worker, say, start, state_of

pytestmark = pytest.mark.server


def look(running: server.Running) -> None:
    """A look that is not one of the schedule."""
    run = start(running, "watch-incoming")
    ends = ("Completed", "Nothing new", "Cancelled")  # cancelled: the schedule's own look is running
    await_that(lambda: state_of(running, run) in (*ends, "Failed", "Crashed"))
    assert state_of(running, run) in ends


def scored(settings: Settings, folder: Path) -> list[tuple[str, str, int]]:
    """Status, listing and number of scored files of the scoring runs of a folder."""
    with closing(sqlite3.connect(settings.root / "results.db")) as database:
        query = "SELECT status, listing, n_scored + n_abstained FROM scoring_run WHERE folder = ?"
        return database.execute(query, [str(folder)]).fetchall()


def upload(phantom: Path, folder: Path, n_files: int) -> Path:
    folder.mkdir()
    for number, file in enumerate(sorted(phantom.rglob("*.jpeg"))[:n_files]):
        shutil.copy(file, folder / f"{number:04}.jpeg")
    return folder


def test_a_folder_that_arrives_is_scored_once_also_after_a_restart_of_the_worker(
    trained: Settings, running: server.Running, phantom: Path
) -> None:
    folder = upload(phantom, Path(str(trained.incoming)) / "monday", 5)

    def finished() -> bool:
        if any(status == "finished" for status, _, _ in scored(trained, folder)):
            return True
        look(running)
        return False

    await_that(finished)
    ((status, listing, n_scored),) = scored(trained, folder)
    (run,) = flow_runs(running, "score-mri", idempotency_key={"any_": [listing]})
    assert (status, n_scored, run["parameters"]["listing"]) == ("finished", 5, listing)

    kill_worker(trained)
    server.up(trained, say)
    for _ in range(2):
        look(running)
    assert len(scored(trained, folder)) == 1
    assert [each["name"] for each in flow_runs(running, "score-mri")].count("monday") == 1
    (row,) = api.query(trained, "incoming").query("folder.str.endswith('monday')").to_dict("records")
    assert (row["state"], row["n_files"]) == ("scored", 5)


def test_the_event_of_an_uploader_has_a_folder_scored_at_once(
    trained: Settings, running: server.Running, phantom: Path, tmp_path: Path
) -> None:
    folder = upload(phantom, tmp_path / "said to be complete", 3)
    payload = json.dumps({"folder": str(folder)})
    event = ["mri.folder.arrived", "--resource-id", "mri.folder.upload", "--payload", payload]
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "event", "emit", *event],
        env=os.environ | {"PREFECT_API_URL": running.api_url, "PREFECT_HOME": str(running.home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    await_that(lambda: [row[0] for row in scored(trained, folder)] == ["finished"])
    assert scored(trained, folder)[0][2] == 3


def test_without_an_incoming_folder_a_look_says_that_it_does_nothing(
    settings: Settings, running: server.Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.watch import watch_incoming

    monkeypatch.delenv("MRI_INCOMING", raising=False)
    with temporary_settings({PREFECT_API_URL: running.api_url}):
        state = watch_incoming(return_state=True)
    assert (state.is_completed(), state.name) == (True, "Nothing new")
    assert state.message == "MRI_INCOMING is not set: no folder is watched."
    assert not settings.root.exists()


def test_a_folder_that_has_changed_since_the_look_is_skipped_without_a_failure(
    trained: Settings, running: server.Running, phantom: Path, tmp_path: Path
) -> None:
    folder = upload(phantom, tmp_path / "changed", 2)
    run = start(running, "score-mri", folder=str(folder), listing="that of an earlier look")
    await_that(lambda: state_of(running, run) == "Skipped")
    assert scored(trained, folder) == []


@pytest.fixture
def many(phantom: Path, tmp_path: Path) -> Path:
    """Twelve shards of links to a few images."""
    folder = tmp_path / "many"
    folder.mkdir()
    images = sorted(phantom.rglob("*.jpeg"))
    for number in range(12 * 128):
        os.link(images[number % len(images)], folder / f"{number:04}.jpeg")
    return folder


def workers(settings: Settings, folder: Path) -> dict[str, int]:
    """Worker → how many shards of the running scoring run it holds or has done."""
    with closing(sqlite3.connect(settings.root / "results.db")) as database:
        query = """SELECT worker, count(*) FROM scoring_shard JOIN scoring_run ON run_id = id
                   WHERE folder = ? AND worker IS NOT NULL GROUP BY worker"""
        return dict(database.execute(query, [str(folder)]).fetchall())


@pytest.fixture
def first_worker(trained: Settings, running: server.Running, many: Path) -> Iterator[psutil.Process]:
    """The process of a flow run with two workers, stopped while it holds a shard and no lock of the database."""
    start(running, "score-mri", folder=str(many), workers=2, device="cpu")
    await_that(lambda: workers(trained, many))
    process = psutil.Process(int(next(iter(workers(trained, many))).split("-")[-2]))
    while True:
        process.suspend()
        if is_free(trained.root / "results.db"):
            break
        process.resume()
        time.sleep(0.05)
    yield process
    if process.is_running():
        process.kill()


def is_free(file: Path) -> bool:
    """Whether nobody is writing to a SQLite database."""
    with closing(sqlite3.connect(file, timeout=2)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


def test_two_flow_runs_share_a_run_and_when_one_is_killed_the_other_finishes(
    trained: Settings, running: server.Running, many: Path, first_worker: psutil.Process
) -> None:
    await_that(lambda: len(workers(trained, many)) == 2)
    first_worker.kill()
    await_that(lambda: [row[0] for row in scored(trained, many)] == ["finished"])
    assert [row[2] for row in scored(trained, many)] == [12 * 128]
    (helper,) = (each for each in flow_runs(running, "score-mri") if "-helper-1" in each["name"])
    assert helper["parameters"]["join"].startswith("score-")
    await_that(lambda: state_of(running, helper) == "Completed")


@pytest.fixture
def watched(trained: Settings, running: server.Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker's variables and server for flows that the test calls itself."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    for name, value in trained.as_variables().items():
        monkeypatch.setenv(name, value)
    with temporary_settings({PREFECT_API_URL: running.api_url}):
        yield


@pytest.mark.usefixtures("watched")
def test_a_flow_run_that_is_called_running_without_a_process_is_replaced_after_the_limit(
    trained: Settings, running: server.Running, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.watch import watch_incoming

    folder = many.rename(Path(str(trained.incoming)) / "tuesday")

    def scorings() -> list[str]:
        """The states of the flow runs that were started for the folder, oldest first."""
        runs = [run for run in flow_runs(running, "score-mri") if run["name"] == folder.name]
        return [run["state_name"] for run in sorted(runs, key=lambda run: run["created"])]

    def looked() -> list[str]:
        watch_incoming(device="cpu")
        return scorings()

    await_that(looked)
    await_that(lambda: workers(trained, folder))
    scorer = psutil.Process(int(next(iter(workers(trained, folder))).split("-")[-2]))
    scorer.suspend()
    kill_worker(trained)  # nobody is left who could report the end of the flow run
    scorer.kill()
    assert scorings() == ["Running"]
    with closing(sqlite3.connect(trained.root / "results.db", timeout=30)) as database, database:
        interrupted = "UPDATE scoring_run SET active_until = started_at WHERE folder = ?"  # as if a minute had passed
        assert database.execute(interrupted, [str(folder)]).rowcount == 1
    assert looked() == ["Running"], "it may only be late, for ten minutes"

    monkeypatch.setattr("tasks.deployments.LOST", timedelta(0))
    assert looked() == ["Running"], "a failure is recorded first"
    (row,) = api.query(trained, "incoming").query("folder.str.endswith('tuesday')").to_dict("records")
    assert (row["state"], row["n_failures"]) == ("failed", 1)
    assert "is called Running, but nobody works on the folder" in row["problem"]
    monkeypatch.setattr("mri_model.results.incoming_ledger.FIRST_PAUSE", timedelta(0))
    assert len(looked()) == 2

    server.up(trained, say)
    await_that(lambda: scorings() == ["Running", "Completed"])
    ((status, _, n_scored),) = scored(trained, folder)
    assert (status, n_scored) == ("finished", 12 * 128)
