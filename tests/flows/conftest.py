"""One real server and worker for all tests of the flows."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mri_model import api
from mri_model.local_prefect import server
from mri_model.local_prefect.prefect_api import PrefectApi
from mri_model.settings import Settings
from tests.conftest import QUICK


def say(line: str) -> None:
    print(line, file=sys.stderr)


def call(running: server.Running, path: str, body: dict[str, Any] | None = None) -> Any:
    return PrefectApi(running.api_url).call(path, body)


def await_that(holds: Callable[[], Any], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def flow_runs(running: server.Running, flow: str, **filters: Any) -> list[dict[str, Any]]:
    return list(call(running, "flow_runs/filter", {"flows": {"name": {"any_": [flow]}}, "flow_runs": filters}))


def start(running: server.Running, name: str, **parameters: Any) -> dict[str, Any]:
    deployment = call(running, f"deployments/name/{name}/{name}")
    return dict(call(running, f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters}))


def state_of(running: server.Running, run: dict[str, Any]) -> str:
    return str(call(running, f"flow_runs/{run['id']}")["state_name"])


def kill_worker(settings: Settings) -> None:
    """Kill the worker of a home, and only that."""
    up = server.status(settings)
    assert up and up.worker_pid
    worker = psutil.Process(up.worker_pid)
    worker.kill()
    worker.wait(10)


@pytest.fixture(autouse=True, scope="package")
def no_outer_prefect() -> Iterator[None]:
    """The settings of whoever runs the tests must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "MRI_"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="package")
def own(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose name has all the characters that a database URL gives a meaning to."""
    incoming = tmp_path_factory.mktemp("incoming")
    home = tmp_path_factory.mktemp("home") / "up?a=b #%41@c:d&e"
    return Settings(home=home, incoming=incoming, settle_seconds=1)


@pytest.fixture(scope="package")
def running(own: Settings) -> Iterator[server.Running]:
    try:
        yield server.up(own, say)
    finally:
        server.down(own, say)


@pytest.fixture(scope="package")
def trained(own: Settings, running: server.Running, phantom: Path) -> Settings:
    """The home of the server's worker, with a model whose seed no other test uses."""
    api.ingest(own, phantom)
    api.train(own, replace(QUICK, seed=11))
    return own
