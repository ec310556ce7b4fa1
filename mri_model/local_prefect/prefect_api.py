"""The part of a Prefect server's HTTP API that ``mri up`` needs. Importing Prefect for it would take seconds."""

import base64
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from mri_model.errors import MriError

PAGE = 200
"""Prefect's largest number of rows in one answer."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Pauses before a busy server is asked again."""


@dataclass(frozen=True)
class ScheduledRun:
    """A flow run that a schedule created.

    Attributes:
        id: The flow run's id.
        deployment: The deployment's id.
        schedule: Name of the schedule. Its id would not do: each ``prefect deploy`` gives it a new one.
        start: When the run should start, as ISO 8601 in UTC.
    """

    id: str
    deployment: str
    schedule: str
    start: str


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect server by the URL of its API, such as ``http://127.0.0.1:4200/api``."""

    url: str

    def answers(self) -> bool:
        """Whether the server is up and healthy."""
        with suppress(OSError, ValueError, HTTPException):
            return self.call("health") is True
        return False

    def ensure_work_pool(self, name: str) -> None:
        """Create a work pool of type process, unless there is one of this name."""
        self._ensure("work_pools", {"name": name, "type": "process"})

    def ensure_concurrency_limit(self, name: str, limit: int) -> None:
        """Create a global concurrency limit, unless there is one of this name: the user may have changed it."""
        self._ensure("v2/concurrency_limits", {"name": name, "limit": limit})

    def worker_names(self, pool: str) -> set[str]:
        """Names of the workers that have reported to the pool; empty if the server does not answer."""
        with suppress(OSError, ValueError, HTTPException):
            return {worker["name"] for worker in self.call(f"work_pools/{pool}/workers/filter", {})}
        return set()

    def paused_deployments(self) -> list[str]:
        """Ids of the deployments that are paused as a whole."""
        return [each["id"] for each in self._rows("deployments/filter", {}) if each["paused"]]

    def pause(self, deployment: str) -> None:
        """Pause a deployment, by its id, as a whole: none of its schedules creates runs."""
        self.call(f"deployments/{deployment}/pause_deployment", {})

    def remove_active_schedules(self, name: str) -> None:
        """Remove the schedules of the deployment of this name, and the runs that they have created for later.

        Those that someone has paused stay, so that they are still paused when they are wanted again.
        """
        for deployment in self._rows("deployments/filter", {"deployments": {"name": {"any_": [name]}}}):
            for schedule in deployment["schedules"]:
                if schedule["active"]:
                    self.call(f"deployments/{deployment['id']}/schedules/{schedule['id']}", method="DELETE")

    def missed_runs(self, pool: str) -> list[ScheduledRun]:
        """Runs that a schedule created, whose time has passed and that no worker has taken; latest first."""
        states = {"name": {"any_": ["Scheduled", "Late"]}}
        query = {
            "flow_runs": {"state": states, "expected_start_time": {"before_": datetime.now(UTC).isoformat()}},
            "work_pools": {"name": {"any_": [pool]}},
            "sort": "EXPECTED_START_TIME_DESC",
        }
        return [
            ScheduledRun(
                row["id"], row["deployment_id"], row["created_by"]["display_value"], row["expected_start_time"]
            )
            for row in self._rows("flow_runs/filter", query)
            if row["auto_scheduled"]
        ]

    def cancel(self, run: ScheduledRun, name: str, message: str) -> None:
        """End a run that has not started, in a cancelled state of this name."""
        state = {"type": "CANCELLED", "name": name, "message": message}
        self.call(f"flow_runs/{run.id}/set_state", {"state": state})

    def end_unfinished(self, run_id: str) -> None:
        """Set a flow run whose process was killed to Crashed, unless it has reported its end itself."""
        if self.call(f"flow_runs/{run_id}")["state_type"] in ("PENDING", "RUNNING", "CANCELLING"):
            state = {"type": "CRASHED", "name": "Crashed", "message": "Its process was killed by `mri down`."}
            self.call(f"flow_runs/{run_id}/set_state", {"state": state, "force": True})

    def _rows(self, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        """All rows that a query of this path gives."""
        rows: list[dict[str, Any]] = []
        while page := self.call(path, {**query, "limit": PAGE, "offset": len(rows)}):
            rows += page
        return rows

    def _ensure(self, collection: str, wanted: dict[str, Any]) -> None:
        try:
            try:
                self.call(f"{collection}/{wanted['name']}")
            except HTTPError as error:
                if error.code != HTTPStatus.NOT_FOUND:
                    raise
                self.call(f"{collection}/", wanted)
        except OSError as error:
            raise MriError(
                f"The Prefect server at {self.url} does not create {wanted['name']!r}: {error}",
                "If it needs a login, set PREFECT_API_KEY or PREFECT_API_AUTH_STRING.",
            ) from error

    def call(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """Call ``path`` of the API and return the answer's JSON, None if it is empty.

        A server that is busy (503, its database is locked) is asked again, as Prefect's own client does. A server on
        this machine is called without a proxy.

        Args:
            path: Path below the URL of the API.
            body: What is sent as JSON.
            method: The HTTP method; by default GET, or POST if there is a body.

        Raises:
            OSError: No answer, or an HTTP error.
        """
        for seconds in RETRY_SECONDS:
            try:
                return self._call_once(path, body, method)
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            time.sleep(seconds)
        return self._call_once(path, body, method)

    def _call_once(self, path: str, body: dict[str, Any] | None, method: str | None) -> Any:
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost")
        opener = build_opener(ProxyHandler({})) if local else build_opener()
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **login()}
        with opener.open(Request(f"{self.url}/{path}", data, headers, method=method), timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None


def login() -> dict[str, str]:
    """The header that Prefect's own client would send, from the same variables."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if user := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}
    return {}


def skip_missed_runs(api: PrefectApi, pool: str) -> int:
    """Leave one missed run of each schedule, the latest, so that the worker catches up once; return how many it skips.

    Runs that people started are not touched. The skipped ones stay visible in Prefect, in the state Skipped.
    """
    kept: set[tuple[str, str]] = set()
    skipped = 0
    for run in api.missed_runs(pool):
        schedule = (run.deployment, run.schedule)
        if schedule in kept:
            api.cancel(run, "Skipped", "Missed while no worker was up; a later run of the schedule catches up.")
            skipped += 1
        kept.add(schedule)
    return skipped
