"""The local Prefect server and worker behind ``mri up`` and ``mri down``.

Prefect is used through its command line and its HTTP API; the library never imports it. ``$MRI_HOME/prefect`` holds
the server's state and database, a log for each process, and ``up.json`` with the processes that are up.

``prefect server start --background`` (3.8) is not used: it keeps no log, Ctrl-C in the terminal ends the server, and
``prefect server stop`` signals whatever process now has the recorded PID and does not wait for its end;
``prefect worker start`` has no background mode.
"""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mri_model.errors import MriError
from mri_model.files import read_json, write_json
from mri_model.local_prefect.prefect_api import PrefectApi, skip_missed_runs
from mri_model.local_prefect.processes import Background, end, free_port, listens, variable_of, with_variable
from mri_model.progress import Log
from mri_model.settings import Settings

POOL = "mri"
WATCH = "watch-incoming"
GPU_LIMIT = "gpu"
PORT = 4200
PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
DATABASE = "prefect.db"
MARK = "MRI_UP_HOME"
"""Environment variable of the worker. Its flow runs inherit it and are found by it even if the worker is dead."""


@dataclass(frozen=True)
class Running:
    """A Prefect server in use, and its worker.

    Attributes:
        api_url: URL of the server's API.
        home: Folder with state, logs and the server's database.
        started: Whether this call started the server.
        server_pid: None if the server was not started by ``mri up``.
        worker_pid: None if there is no worker.
    """

    api_url: str
    home: Path
    started: bool
    server_pid: int | None
    worker_pid: int | None

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")


def export_line(running: Running) -> str:
    """The line that a shell evaluates so that ``prefect`` uses this server and sends no telemetry."""
    return f"export PREFECT_API_URL={running.api_url} DO_NOT_TRACK=1"


def up(settings: Settings, say: Log, worker: bool = True, project: Path = PROJECT) -> Running:
    """Start server and worker, unless they are up, and deploy the project's ``prefect.yaml``.

    If ``PREFECT_API_URL`` is the URL of another server, that server is used and none is started. On a server of our own
    the schedule of ``watch-incoming`` is removed while the worker has no ``MRI_INCOMING``. If a schedule missed
    several runs while no worker was up, only the latest is run. If anything fails, what this call started is stopped.

    Args:
        settings: The settings; the flow runs get the same ones.
        say: Receives a line about each step.
        worker: Whether a worker is needed.
        project: Folder with ``prefect.yaml``.

    Raises:
        MriError: A process does not start, the server refuses, or a deployment fails.
    """
    state = _State(settings)
    with state.locked(say), _undone_on_failure(state, say):
        foreign = _foreign_server(state, say)
        started = not foreign and _start_server(state, say)
        api = PrefectApi(foreign or state.last_url())
        api.ensure_work_pool(POOL)
        api.ensure_concurrency_limit(GPU_LIMIT, 1)
        # Deploying and starting the worker at the same time saves seconds: both import Prefect.
        name = _start_worker(state, api, say) if worker else None
        _deploy(state, api, project, say)
        if worker and not foreign:
            _remove_idle_looks(state, api, say)
        if name:
            state.wait("worker", lambda: name in api.worker_names(POOL), START_SECONDS)
        say(f"Prefect is up at {api.url.removesuffix('/api')}")
        return state.running(api.url, started)


def down(settings: Settings, say: Log) -> bool:
    """Stop what ``up`` started: flow runs, worker, server, in this order. Returns False if nothing was up."""
    state = _State(settings)
    if not state.folder.exists():
        return False
    with state.locked(say):
        return any([_stop_worker(state, say), _stop_server(state, say)])


def status(settings: Settings) -> Running | None:
    """The server and worker that are up for this ``MRI_HOME``, or None."""
    state = _State(settings)
    up_now = [child for child in map(state.read().get, ("worker", "server")) if child and child.process()]
    return state.running(up_now[0].api_url, started=False) if up_now else None


def environment(settings: Settings, api_url: str) -> dict[str, str]:
    """The environment variables of a process that runs flows.

    They are the caller's variables, with this server, these settings, and no telemetry unless the caller turned it on.
    """
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",  # default 10: most of the time until a run begins
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
        """URL of our own server, also after it was stopped; empty if there was none."""
        file = self.folder / "last-url.json"
        return str(read_json(file)) if file.exists() else ""

    def running(self, api_url: str, started: bool) -> Running:
        server = self.process("server") if api_url == self.last_url() else None
        worker = self.process("worker")
        return Running(api_url, self.folder, started, server.pid if server else None, worker.pid if worker else None)


@contextmanager
def _undone_on_failure(state: _State, say: Log) -> Iterator[None]:
    """If the body raises, stop what it has started."""
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


def _foreign_server(state: _State, say: Log) -> str | None:
    """The value of ``PREFECT_API_URL``, unless it is the URL of our own server, running or stopped.

    Raises MriError if no server answers there.
    """
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        return None
    answers = PrefectApi(url).answers()
    if url == state.last_url() and (state.process("server") or not answers):
        return None
    if not answers:
        raise MriError(
            f"No Prefect server answers at {url} (PREFECT_API_URL)",
            "Start that server, or run `unset PREFECT_API_URL`; then `mri up` starts its own server.",
        )
    say(f"Using the Prefect server at {url} (PREFECT_API_URL)")
    return url


def _start_server(state: _State, say: Log) -> bool:
    """Start our own server unless it is up, and wait until it answers. Returns whether it was started."""
    if state.process("server"):
        say("The Prefect server is up already")
        state.wait("server", PrefectApi(state.last_url()).answers, START_SECONDS)
        return False
    # First the port of the last time: shells and a worker that is up may still use it.
    for port in (free_port(urlsplit(state.last_url()).port or PORT), free_port()):
        say(f"Starting the Prefect server on 127.0.0.1:{port} (about 20 s the first time)")
        try:
            _start_server_on(state, port)
            return True
        except MriError as error:
            if free_port(port) == port:  # nobody took it: the server ended for another reason
                raise
            taken = error
    raise taken


def _start_server_on(state: _State, port: int) -> None:
    api_url = f"http://127.0.0.1:{port}/api"
    write_json(state.folder / "last-url.json", api_url)
    command = _prefect("server", "start", "--host", "127.0.0.1", "--port", str(port))
    variables = environment(state.settings, api_url) | {
        # Relative to the folder that the server runs in: a URL cannot hold every absolute path, such as one with a "?".
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{DATABASE}",
        # With the default, in memory, a restarted server does not know who holds the gpu slot and never frees it.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }
    state.start("server", command, variables, api_url)
    # Another server may have taken the port and answer there.
    answers = PrefectApi(api_url).answers
    state.wait("server", lambda: listens(state.process("server"), port) and answers(), START_SECONDS)


def _start_worker(state: _State, api: PrefectApi, say: Log) -> str | None:
    """Start a worker and return its name; None if one is up already."""
    child = state.read().get("worker")
    if child and child.process():
        if child.api_url == api.url:
            say("The worker is up already")
            return None
        _stop_worker(state, say)
    if skipped := skip_missed_runs(api, POOL):
        say(f"Skipping {skipped} missed scheduled runs: only the latest of each schedule is run")
    name = f"{socket.gethostname()}-{secrets.token_hex(3)}"
    say(f"Starting the worker {name}")
    command = _prefect("worker", "start", "--pool", POOL, "--type", "process", "--name", name)
    state.start("worker", command, environment(state.settings, api.url) | {MARK: str(state.folder)}, api.url)
    return name


def _deploy(state: _State, api: PrefectApi, project: Path, say: Log) -> None:
    if not (project / "prefect.yaml").exists():
        raise MriError(
            f"No prefect.yaml in {project}",
            "Deploying needs the repository: clone it and install it with `pip install -e .`",
        )
    say(f"Deploying the flows of {project / 'prefect.yaml'}")
    paused = api.paused_deployments()
    with (state.folder / "deploy.log").open("wb") as output:
        deployed = subprocess.run(
            _prefect("deploy", "--all"),
            cwd=project,
            env=environment(state.settings, api.url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    for deployment in paused:  # `prefect deploy` resumes a paused deployment
        api.pause(deployment)
    if deployed.returncode:
        raise state.failure("deploy", "Deploying failed")


def _remove_idle_looks(state: _State, api: PrefectApi, say: Log) -> None:
    """Remove the schedule of the looks, which deploying makes, unless the worker knows a folder to look at.

    Another `mri up` in a shell with other variables does not change what the worker does, so it is the worker's
    variables that count.
    """
    worker = state.process("worker")
    if worker is None or variable_of(worker, "MRI_INCOMING"):
        return
    api.remove_active_schedules(WATCH)
    say(
        "No folder is watched: the worker was started without MRI_INCOMING; `mri down` and `mri up` start it with it"
        if state.settings.incoming
        else "No folder is watched: MRI_INCOMING is not set"
    )


def _stop_worker(state: _State, say: Log) -> bool:
    """Stop the flow runs, then the worker. Returns False if there were none."""
    worker = state.process("worker")
    if worker:
        # A worker that is stopped first kills its flow runs before they can report their end, and they stay in the
        # state Running. While suspended it takes no new run either.
        worker.suspend()
    flow_runs = [process for process in with_variable(MARK, str(state.folder)) if process != worker]
    if worker or flow_runs:
        say(f"Stopping the worker{' and its flow runs' if flow_runs else ''}")
    child = state.read().get("worker")
    run_ids = {run_id for process in flow_runs if (run_id := variable_of(process, "PREFECT__FLOW_RUN_ID"))}
    end(flow_runs)
    end([worker] if worker else [])
    api_url = child.api_url if child else state.last_url()
    if api_url:  # none: the worker of another server, whose last runs are found after it was stopped
        _end_unfinished_runs(api_url, run_ids)
    state.record("worker", None)
    return bool(worker or flow_runs)


def _end_unfinished_runs(api_url: str, run_ids: set[str]) -> None:
    """Set runs to Crashed that were killed before they could report their end; else they stay in the state Running."""
    for run_id in run_ids:
        with suppress(OSError):  # the server may be down too
            PrefectApi(api_url).end_unfinished(run_id)


def _stop_server(state: _State, say: Log) -> bool:
    """Stop the server and its child processes. Returns False if it was not up."""
    server = state.process("server")
    if server:
        say("Stopping the Prefect server")
        end([server, *server.children(recursive=True)])
    state.record("server", None)
    return server is not None
