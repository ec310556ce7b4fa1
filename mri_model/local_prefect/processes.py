"""Processes that outlive the call that started them: started, found again, waited for, stopped."""

import fcntl
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from mri_model.errors import MriError
from mri_model.files import read_json, write_json

STOP_SECONDS = 15
CREATION_SLACK = 2  # seconds: a clock that was set shifts the creation times of processes a little


@dataclass(frozen=True)
class Child:
    """A process started here; its creation time tells it from a later one with the same PID."""

    pid: int
    created: float
    api_url: str

    def process(self) -> psutil.Process | None:
        """The process if it still runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CREATION_SLACK
            return process if same and runs(process) else None
        return None


class Background:
    """A folder with the logs of the processes started from it and ``up.json``, which names them by role."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, Child]:
        file = self.folder / "up.json"
        return {role: Child(**fields) for role, fields in read_json(file).items()} if file.exists() else {}

    def record(self, role: str, child: Child | None) -> None:
        """Write the child down under its role, or strike the role out."""
        children = {name: other for name, other in (self.read() | {role: child}).items() if other}
        if children:
            write_json(self.folder / "up.json", {name: asdict(other) for name, other in children.items()})
        else:
            (self.folder / "up.json").unlink(missing_ok=True)

    def process(self, role: str) -> psutil.Process | None:
        child = self.read().get(role)
        return child.process() if child else None

    @contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """One caller at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Waiting for another `mri up` or `mri down` to finish")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def start(self, role: str, command: list[str], environment: dict[str, str], api_url: str) -> None:
        """Start ``command`` in the background and record it at once; the previous log is kept as ``.old``."""
        log = self.folder / f"{role}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        with log.open("wb") as output:
            pid = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C in the terminal does not reach it
            ).pid
        self.record(role, Child(pid, psutil.Process(pid).create_time(), api_url))

    def wait(self, role: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until the process of this role is ready; raise if it dies or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.process(role):
                raise self.failure(role, f"The Prefect {role} died while starting")
            if time.monotonic() > deadline:
                raise self.failure(role, f"The Prefect {role} is not ready after {seconds:.0f} s")
            time.sleep(0.2)

    def failure(self, role: str, what: str) -> MriError:
        """An error that quotes the last line of the role's log that says anything."""
        log = self.folder / f"{role}.log"
        unhelpful = re.compile(r"\W*$|\s|An exception occurred|Server stopped")
        lines = [line for line in log.read_text(errors="replace").splitlines() if not unhelpful.match(line)]
        return MriError(f"{what}: {lines[-1] if lines else 'it said nothing'}", f"The whole log: {log}")


def runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def end(processes: list[psutil.Process]) -> None:
    """SIGTERM, and SIGKILL for what is still there after a while."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
            process.resume()
    deadline = time.monotonic() + STOP_SECONDS
    while any(map(runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in filter(runs, processes):
        with suppress(psutil.Error):
            process.kill()
            process.wait(5)


def with_variable(name: str, value: str) -> list[psutil.Process]:
    """All processes, but for this one, whose environment says so: it is inherited, so no orphan is missed."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(name) == value and process.pid != os.getpid():
                found.append(process)
    return found


def listens(process: psutil.Process | None, port: int) -> bool:
    with suppress(psutil.Error):
        return process is not None and any(
            connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            for connection in process.net_connections("tcp4")
        )
    return False


def free_port(preferred: int = 0) -> int:
    """``preferred`` on 127.0.0.1 if nobody listens there, else any other port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])
