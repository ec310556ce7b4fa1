"""The scheduled looks at incoming folders on a real server: when there are any, and what is kept of them."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mri_model.local_prefect import server
from mri_model.local_prefect.prefect_api import PrefectApi
from mri_model.settings import Settings
from tests.flows.conftest import await_that, call, kill_worker, say, start, state_of

pytestmark = pytest.mark.server

WATCH = "watch-incoming"


def deployment(running: server.Running, name: str) -> dict[str, Any]:
    return dict(call(running, f"deployments/name/{name}/{name}"))


def schedules(running: server.Running) -> list[bool]:
    """Whether each schedule of the looks is active."""
    return [each["active"] for each in deployment(running, WATCH)["schedules"]]


def activate(running: server.Running, active: bool) -> None:
    """What the switch of the schedule does in Prefect's UI."""
    found = deployment(running, WATCH)
    path = f"deployments/{found['id']}/schedules/{found['schedules'][0]['id']}"
    PrefectApi(running.api_url).call(path, {"active": active}, "PATCH")


def test_looks_are_scheduled_only_while_the_worker_knows_a_folder(own: Settings, running: server.Running) -> None:
    without, lines = own.model_copy(update={"incoming": None}), list[str]()
    server.up(without, say)
    assert schedules(running) == [True], "the worker has the folder, whatever this shell has"
    try:
        kill_worker(own)
        server.up(without, lines.append)
        assert schedules(running) == []
        assert "No folder is watched: MRI_INCOMING is not set" in lines
        server.up(own, lines.append)
        assert schedules(running) == []
        assert any("the worker was started without MRI_INCOMING" in line for line in lines)
    finally:
        kill_worker(own)
        server.up(own, say)
    assert schedules(running) == [True]


def test_what_a_user_has_paused_stays_paused_with_and_without_an_incoming_folder(
    own: Settings, running: server.Running
) -> None:
    weekly = deployment(running, "evaluate-mri")["id"]
    activate(running, False)
    call(running, f"deployments/{weekly}/pause_deployment", {})
    try:
        kill_worker(own)
        server.up(own.model_copy(update={"incoming": None}), say)
        kill_worker(own)
        server.up(own, say)
        assert schedules(running) == [False]
        assert deployment(running, "evaluate-mri")["paused"]
    finally:
        activate(running, True)
        call(running, f"deployments/{weekly}/resume_deployment", {})


def ended(running: server.Running, flow: str, kind: str, name: str, days: int) -> str:
    """A flow run that has ended in a state, and was to start so many days ago."""
    state = {"type": kind, "name": name}
    path = f"deployments/{deployment(running, flow)['id']}/create_flow_run"
    run = call(running, path, {"state": state, "parameters": {"folder": "/somewhere"} if flow == "score-mri" else {}})
    begin = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with closing(sqlite3.connect(running.home / "prefect.db", timeout=30)) as database, database:
        aged = database.execute("UPDATE flow_run SET expected_start_time = ? WHERE id = ?", [begin, run["id"]])
        assert aged.rowcount == 1
    return str(run["id"])


def left(running: server.Running, *ids: str) -> set[str]:
    """Those of the flow runs that still exist."""
    found = call(running, "flow_runs/filter", {"flow_runs": {"id": {"any_": list(ids)}}})
    return {run["id"] for run in found}


def look(running: server.Running) -> str:
    """The state in which a look has ended; Cancelled if it has met that of the schedule."""
    run = start(running, WATCH)
    await_that(lambda: state_of(running, run) in ("Nothing new", "Completed", "Cancelled", "Failed", "Crashed"))
    return state_of(running, run)


def test_a_look_deletes_old_looks_that_found_nothing_and_keeps_what_people_want_to_see(running: server.Running) -> None:
    old = [
        ended(running, WATCH, "COMPLETED", "Nothing new", 2),
        ended(running, WATCH, "CANCELLED", "Skipped", 2),
        ended(running, WATCH, "FAILED", "Failed", 31),
        ended(running, WATCH, "COMPLETED", "Completed", 31),
    ]
    kept = [
        ended(running, WATCH, "COMPLETED", "Nothing new", 0),
        ended(running, WATCH, "COMPLETED", "Completed", 2),
        ended(running, WATCH, "FAILED", "Failed", 2),
        ended(running, "score-mri", "COMPLETED", "Completed", 400),
        ended(running, "score-mri", "CANCELLED", "Skipped", 400),
        ended(running, "evaluate-mri", "COMPLETED", "Completed", 400),
    ]
    assert left(running, *old, *kept) == {*old, *kept}
    await_that(lambda: look(running) == "Nothing new")
    await_that(lambda: not left(running, *old))
    assert left(running, *kept) == set(kept)


def test_one_look_deletes_a_bounded_number_of_runs(running: server.Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks import retention

    monkeypatch.setattr(retention, "AT_ONCE", 2)
    ids = [ended(running, "evaluate-mri", "COMPLETED", "Nothing new", 2) for _ in range(3)]
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", deployment(running, "evaluate-mri")["id"])
    with temporary_settings({PREFECT_API_URL: running.api_url}):
        retention.delete_old_looks()
        assert len(left(running, *ids)) == 1
        retention.delete_old_looks()
        assert left(running, *ids) == set()


@pytest.mark.usefixtures("settings")
def test_a_look_that_cannot_delete_old_ones_is_made_nevertheless(
    running: server.Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.watch import watch_incoming

    monkeypatch.delenv("MRI_INCOMING", raising=False)
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "no id")
    with temporary_settings({PREFECT_API_URL: running.api_url}):
        state = watch_incoming(return_state=True)
    assert state.name == "Nothing new"
    logs = {"logs": {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}}
    await_that(lambda: any("cannot delete old" in line["message"] for line in call(running, "logs/filter", logs)))
