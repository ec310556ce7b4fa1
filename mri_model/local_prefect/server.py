"""The local Prefect server and worker behind ``mri up`` and ``mri down``.

Prefect is driven from outside, by its command line and its HTTP API: the library never imports it.
``$MRI_HOME/prefect`` holds the server's state and database, a log for each process, and ``up.json``,
which says what is up.
"""

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from mri_model.errors import MriError
from mri_model.files import read_json, write_json
from mri_model.local_prefect.processes import Background, end, free_port, listens, with_variable
from mri_model.settings import Settings

POOL = "mri"
GPU_LIMIT = "gpu"
PORT = 4200
PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
# In the environment of the worker and so of every flow run it starts: finds them when the worker is dead.
MARK = "MRI_UP_HOME"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """A Prefect server in use, and the worker beside it."""

    api_url: str
    home: Path
    started: bool  # whether this very call started the server
    server_pid: int | None  # None where the server is somebody else's
    worker_pid: int | None

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")


def export_line(running: Running) -> str:
    """The line a shell evaluates so that ``prefect`` talks to this server, and to nobody else."""
    return f"export PREFECT_API_URL={running.api_url} DO_NOT_TRACK=1"


def up(settings: Settings, say: Say, worker: bool = True, project: Path = PROJECT) -> Running:
    """Start what is not yet up of server and worker, and deploy the project's ``prefect.yaml``.

    Where ``PREFECT_API_URL`` points to somebody else's server, that one is used and none is started.
    If anything fails, what this call had started is stopped again.
    """
    state = _State(settings)
    with state.locked(say), _undone_on_failure(state, say):
        foreign = _foreign_server(state, say)
        started = not foreign and _start_server(state, say)
        api_url = foreign or state.last_url()
        _ensure(api_url, "work_pools", {"name": POOL, "type": "process"})
        _ensure(api_url, "v2/concurrency_limits", {"name": GPU_LIMIT, "limit": 1})
        # The deployments are made while the worker gets ready: both spend seconds on importing Prefect.
        name = _start_worker(state, api_url, say) if worker else None
        _deploy(state, api_url, project, say)
        if name:
            state.wait("worker", lambda: name in _workers(api_url), START_SECONDS)
        say(f"Prefect is up at {api_url.removesuffix('/api')}")
        return state.running(api_url, started)


def down(settings: Settings, say: Say) -> bool:
    """Stop what ``up`` started, the worker and its flow runs first; False where nothing was up."""
    state = _State(settings)
    if not state.folder.exists():
        return False
    with state.locked(say):
        return any([_stop_worker(state, say), _stop_server(state, say)])


def status(settings: Settings) -> Running | None:
    """What is up for this ``MRI_HOME``, or None."""
    state = _State(settings)
    up_now = [child for child in map(state.read().get, ("worker", "server")) if child and child.process()]
    return state.running(up_now[0].api_url, started=False) if up_now else None


def environment(settings: Settings, api_url: str) -> dict[str, str]:
    """What a process runs flows with: the caller's environment, this server, this ``MRI_HOME``, and telemetry
    off unless it was turned on."""
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",  # Prefect's 10 s is most of the wait for a run to begin
    }
    fixed = {
        "PREFECT_HOME": str(_State(settings).folder),
        "PREFECT_API_URL": api_url,
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_WRAP_LINES": "false",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": f"127.0.0.1,localhost,{no_proxy}",
        "no_proxy": f"127.0.0.1,localhost,{no_proxy}",
        **settings.as_variables(),
    }
    caller = {k: v for k, v in os.environ.items() if k not in ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH")}
    return defaults | caller | fixed


class _State(Background):
    """``$MRI_HOME/prefect``, with the roles "server" and "worker"."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.root / "prefect")
        self.settings = settings

    def last_url(self) -> str:
        """Where our own server last listened, also after it was stopped."""
        file = self.folder / "last-url.json"
        return str(read_json(file)) if file.exists() else ""

    def running(self, api_url: str, started: bool) -> Running:
        server = self.process("server") if api_url == self.last_url() else None
        worker = self.process("worker")
        return Running(api_url, self.folder, started, server.pid if server else None, worker.pid if worker else None)


@contextmanager
def _undone_on_failure(state: _State, say: Say) -> Iterator[None]:
    """Stop again what was started inside, if it raises."""
    before = state.read()
    try:
        yield
    except BaseException:
        now = state.read()
        if now.get("worker") != before.get("worker"):
            _stop_worker(state, say)
        if now.get("server") != before.get("server"):
            _stop_server(state, say)
        raise


def _prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


# --- server, worker, deployments


def _foreign_server(state: _State, say: Say) -> str | None:
    """What ``PREFECT_API_URL`` points to, unless that is our own server, running or since stopped."""
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        return None
    answers = _answers(url)
    if url == state.last_url() and (state.process("server") or not answers):
        return None
    if not answers:
        raise MriError(
            f"No Prefect server answers at {url} (PREFECT_API_URL)",
            "Start that server, or `unset PREFECT_API_URL` and `mri up` starts one of its own.",
        )
    say(f"Using the Prefect server at {url} (PREFECT_API_URL)")
    return url


def _start_server(state: _State, say: Say) -> bool:
    """Make our own server answer; True where it had to be started."""
    if state.process("server"):
        say("The Prefect server is up already")
        state.wait("server", partial(_answers, state.last_url()), START_SECONDS)
        return False
    # The old port once more, since shells and a living worker may still point to it.
    for port in (free_port(urlsplit(state.last_url()).port or PORT), free_port()):
        say(f"Starting the Prefect server on 127.0.0.1:{port} (about 20 s the first time)")
        try:
            _start_server_on(state, port)
            return True
        except MriError as error:
            if "already in use" not in str(error):
                raise
            taken = error
    raise taken


def _start_server_on(state: _State, port: int) -> None:
    api_url = f"http://127.0.0.1:{port}/api"
    database = f"sqlite+aiosqlite:///{state.folder / 'prefect.db'}"
    write_json(state.folder / "last-url.json", api_url)
    command = _prefect("server", "start", "--host", "127.0.0.1", "--port", str(port))
    variables = environment(state.settings, api_url) | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        # In memory, Prefect's default, a server that ends forgets who held the gpu slot, and never frees it.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }
    state.start("server", command, variables, api_url)
    # Somebody else's server could have taken the port and answer in its place.
    state.wait("server", lambda: listens(state.process("server"), port) and _answers(api_url), START_SECONDS)


def _start_worker(state: _State, api_url: str, say: Say) -> str | None:
    """Start a worker for ``api_url`` and return its name; None where one is up already."""
    child = state.read().get("worker")
    if child and child.process():
        if child.api_url == api_url:
            say("The worker is up already")
            return None
        _stop_worker(state, say)
    name = f"{socket.gethostname()}-{secrets.token_hex(3)}"
    say(f"Starting the worker {name}")
    command = _prefect("worker", "start", "--pool", POOL, "--type", "process", "--name", name)
    state.start("worker", command, environment(state.settings, api_url) | {MARK: str(state.folder)}, api_url)
    return name


def _deploy(state: _State, api_url: str, project: Path, say: Say) -> None:
    if not (project / "prefect.yaml").exists():
        raise MriError(
            f"No prefect.yaml in {project}",
            "The deployments need the repository: clone it and install with `pip install -e .`",
        )
    say(f"Deploying the flows of {project / 'prefect.yaml'}")
    with (state.folder / "deploy.log").open("wb") as output:
        deployed = subprocess.run(
            _prefect("deploy", "--all"),
            cwd=project,
            env=environment(state.settings, api_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if deployed.returncode:
        raise state.failure("deploy", "Deploying failed")


def _stop_worker(state: _State, say: Say) -> bool:
    worker = state.process("worker")
    if worker:
        # A worker that ends kills its flow runs before they can report it, and they would stay "Running"
        # for good: so it sleeps while they end, and takes no new run meanwhile.
        worker.suspend()
    flow_runs = [process for process in with_variable(MARK, str(state.folder)) if process != worker]
    if worker or flow_runs:
        say(f"Stopping the worker{' and its flow runs' if flow_runs else ''}")
    end(flow_runs)
    end([worker] if worker else [])
    state.record("worker", None)
    return bool(worker or flow_runs)


def _stop_server(state: _State, say: Say) -> bool:
    server = state.process("server")
    if server:
        say("Stopping the Prefect server")
        end([server, *server.children(recursive=True)])
    state.record("server", None)
    return server is not None


# --- the server's API


def _call(url: str, body: dict[str, Any] | None = None) -> Any:
    """GET, or POST where there is a body; never through a proxy to this very machine."""
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif user := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost")
    opener = build_opener(ProxyHandler({})) if local else build_opener()
    data = None if body is None else json.dumps(body).encode()
    with opener.open(Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def _answers(api_url: str) -> bool:
    with suppress(OSError, ValueError, HTTPException):
        return _call(f"{api_url}/health") is True
    return False


def _ensure(api_url: str, collection: str, wanted: dict[str, Any]) -> None:
    """Make ``wanted`` unless something of that name is there; a limit the user changed stays changed."""
    try:
        try:
            _call(f"{api_url}/{collection}/{wanted['name']}")
        except HTTPError as error:
            if error.code != 404:
                raise
            _call(f"{api_url}/{collection}/", wanted)
    except OSError as error:
        raise MriError(
            f"The Prefect server at {api_url} does not make {wanted['name']!r}: {error}",
            "Where it asks for a login, set PREFECT_API_KEY or PREFECT_API_AUTH_STRING.",
        ) from error


def _workers(api_url: str) -> set[str]:
    """Names of the workers that have reported to the pool."""
    with suppress(OSError, ValueError, HTTPException):
        return {worker["name"] for worker in _call(f"{api_url}/work_pools/{POOL}/workers/filter", {})}
    return set()
