"""Background processes: start them, find them again in a later process, wait for them, stop them."""

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
from filelock import Timeout

from mri_model.errors import MriError
from mri_model.files import lock_of, read_json, write_json
from mri_model.progress import Log

STOP_SECONDS = 15
CREATION_SLACK = 2
"""Seconds by which a process's creation time may differ: it shifts when the clock is set."""


@dataclass(frozen=True)
class Child:
    """A background process. Its creation time distinguishes it from a later process with the same PID.

    Attributes:
        pid: Process id.
        created: Creation time in seconds since 1970.
        api_url: The Prefect API that the process serves or uses.
    """

    pid: int
    created: float
    api_url: str

    def process(self) -> psutil.Process | None:
        """The process if it is still running, else None."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CREATION_SLACK
            return process if same and runs(process) else None
        return None


class Background:
    """Background processes by role, recorded in ``up.json`` of a folder that also holds their logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, Child]:
        file = self.folder / "up.json"
        return {role: Child(**fields) for role, fields in read_json(file).items()} if file.exists() else {}

    def record(self, role: str, child: Child | None) -> None:
        """Record the child of a role; None removes the role."""
        children = {name: other for name, other in (self.read() | {role: child}).items() if other}
        if children:
            write_json(self.folder / "up.json", {name: asdict(other) for name, other in children.items()})
        else:
            (self.folder / "up.json").unlink(missing_ok=True)

    def process(self, role: str) -> psutil.Process | None:
        child = self.read().get(role)
        return child.process() if child else None

    @contextmanager
    def locked(self, say: Log) -> Iterator[None]:
        """Take the lock of the folder; wait while another process has it."""
        lock = lock_of(self.folder / "up.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say("Waiting for another `mri up` or `mri down` to finish")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def start(self, role: str, command: list[str], environment: dict[str, str], api_url: str) -> None:
        """Start ``command`` in ``folder`` in the background and record it. The previous log is kept as ``.log.old``."""
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
        """Wait until ``ready()``. Raises MriError if the process of this role ends or ``seconds`` pass."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.process(role):
                raise self.failure(role, f"The Prefect {role} died while starting")
            if time.monotonic() > deadline:
                raise self.failure(role, f"The Prefect {role} is not ready after {seconds:.0f} s")
            time.sleep(0.2)

    def failure(self, role: str, what: str) -> MriError:
        """An error that quotes the last informative line of the role's log."""
        log = self.folder / f"{role}.log"
        unhelpful = re.compile(r"\W*$|\s|An exception occurred|Server stopped")
        lines = [line for line in log.read_text(errors="replace").splitlines() if not unhelpful.match(line)]
        return MriError(f"{what}: {lines[-1] if lines else 'its log is empty'}", f"The whole log: {log}")


def runs(process: psutil.Process) -> bool:
    """Whether the process is running; a zombie is not."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def end(processes: list[psutil.Process]) -> None:
    """Send SIGTERM, and SIGKILL to processes that are still running after ``STOP_SECONDS``."""
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
    """All other processes with this environment variable. Children inherit it, so orphans are found too."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [process for process in others if variable_of(process, name) == value]


def variable_of(process: psutil.Process, name: str) -> str | None:
    """An environment variable of a process, None if it is not set or the process is gone."""
    with suppress(psutil.Error):
        return process.environ().get(name)
    return None


def listens(process: psutil.Process | None, port: int) -> bool:
    """Whether the process listens on this TCP port."""
    with suppress(psutil.Error):
        return process is not None and any(
            connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            for connection in process.net_connections("tcp4")
        )
    return False


def free_port(preferred: int = 0) -> int:
    """A free port on 127.0.0.1: ``preferred`` if it is free, else any other."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])
