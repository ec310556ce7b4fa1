"""What `mri up` and `mri down` do without a server."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from mri_model.errors import MriError
from mri_model.files import write_json
from mri_model.local_prefect import server
from mri_model.local_prefect.processes import Background, Child, free_port
from mri_model.settings import Settings


@pytest.fixture(autouse=True)
def no_outer_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests must not matter."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MRI_"))]:
        monkeypatch.delenv(name)


def say(line: str) -> None:
    print(line, file=sys.stderr)


def test_a_server_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    with pytest.raises(MriError, match="No Prefect server answers") as failed:
        server.up(Settings(home=tmp_path), say)
    assert "unset PREFECT_API_URL" in failed.value.hint


def test_the_address_of_our_own_stopped_server_is_not_taken_for_another_server(
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


def test_a_second_up_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    first, second = Background(tmp_path), Background(tmp_path)
    waiting, entered = threading.Event(), threading.Event()

    def enter() -> None:
        with second.locked(lambda line: waiting.set()):
            entered.set()

    thread = threading.Thread(target=enter)
    with first.locked(say):
        thread.start()
        assert waiting.wait(30)
        assert not entered.is_set()
    assert entered.wait(30)
    thread.join()


def test_flow_runs_get_the_settings_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_PROFILE", "of the caller")
    settings = Settings(home=Path("up?x"), checkpoint_seconds=5)
    variables = server.environment(settings, "http://x/api")
    assert variables["MRI_HOME"] == str(tmp_path.resolve() / "up?x")
    assert variables["PREFECT_HOME"] == str(tmp_path.resolve() / "up?x" / "prefect")
    assert (variables["MRI_DATABASE_URL"], variables["MRI_CHECKPOINT_SECONDS"]) == ("", "5.0")
    assert (variables["DO_NOT_TRACK"], variables["PREFECT_API_URL"]) == ("1", "http://x/api")
    assert "PREFECT_PROFILE" not in variables
