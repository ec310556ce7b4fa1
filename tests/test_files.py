"""Files: never seen half-written, and one writer at a time."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from mri_model.errors import MriError
from mri_model.files import atomic, exclusive_lock, read_json, write_json

BUSY = MriError("busy", "wait")
PROJECT = str(Path(__file__).parents[1])

HOLD = """
import sys, time
from pathlib import Path
from mri_model.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), RuntimeError("busy")):
    print("held", flush=True)
    time.sleep(600)
"""

TAKE_OFTEN = """
import os, sys, time
from pathlib import Path
from mri_model.files import exclusive_lock
folder, inside = Path(sys.argv[1]), Path(sys.argv[2])
taken, end = 0, time.monotonic() + 1.5
while time.monotonic() < end or not taken:
    try:
        with exclusive_lock(folder, InterruptedError()):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails if another process is inside as well
            inside.unlink()
            taken += 1
    except InterruptedError:
        pass
"""


def start(script: str, *arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": PROJECT}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lock_file(folder: Path) -> Path:
    return folder.parent / ".locks" / f"{folder.name}.lock"


def assert_busy(folder: Path) -> None:
    with pytest.raises(MriError, match="busy"), exclusive_lock(folder, BUSY):
        pass


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "model"
    with exclusive_lock(folder, BUSY):
        assert folder.is_dir()
        assert_busy(folder)
        with exclusive_lock(tmp_path / "new" / "other", BUSY):
            pass
    with exclusive_lock(folder, BUSY):
        pass


def test_an_exception_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(tmp_path / "model", BUSY):
        _ = 1 / 0
    with exclusive_lock(tmp_path / "model", BUSY):
        pass


def test_one_that_opened_the_lock_file_before_a_release_excludes_one_that_comes_after(tmp_path: Path) -> None:
    """A lock file that is removed on release lets both in: each holds the lock of another inode."""
    folder = tmp_path / "model"
    with exclusive_lock(folder, BUSY):
        inode = lock_file(folder).stat().st_ino
        waiting = FileLock(lock_file(folder))
        with pytest.raises(Timeout):
            waiting.acquire(timeout=0)
    assert lock_file(folder).stat().st_ino == inode
    with waiting:
        assert_busy(folder)


def test_processes_that_take_the_lock_again_and_again_are_never_inside_together(tmp_path: Path) -> None:
    processes = [start(TAKE_OFTEN, tmp_path / "model", tmp_path / "inside") for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


def test_a_killed_holder_releases_the_lock(tmp_path: Path) -> None:
    with start(HOLD, tmp_path / "model") as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        assert_busy(tmp_path / "model")
        holder.send_signal(signal.SIGKILL)
    with exclusive_lock(tmp_path / "model", BUSY):
        pass


def test_half_written_files_of_a_killed_writer_are_removed_and_the_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / ".hidden folder").mkdir(parents=True)
    for name in (".history.csv.x1y2.csv", ".lock", "history.csv", "model.json"):
        (folder / name).touch()
    with exclusive_lock(folder, BUSY):
        assert {file.name for file in folder.iterdir()} == {".hidden folder", "history.csv", "model.json"}
        (folder / ".model.json.z3").touch()
        assert_busy(folder)
        assert (folder / ".model.json.z3").exists()  # one that is refused removes nothing of the holder's


def test_the_folder_holds_no_lock_file(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "model", BUSY):
        assert not list((tmp_path / "model").iterdir())
    assert not list((tmp_path / "model").iterdir())


def raise_an_error(temporary: Path) -> None:
    temporary.write_text("half")
    raise ValueError


def remove_it(temporary: Path) -> None:
    temporary.unlink()


@pytest.mark.parametrize("write", [raise_an_error, remove_it])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(write: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "value.json"
    write_json(file, {"n": 1})
    with pytest.raises((ValueError, OSError)), atomic(file) as temporary:
        write(temporary)
    assert read_json(file) == {"n": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "text.txt"
    with atomic(file) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == file.parent
        assert temporary.name.startswith(".")
        assert not file.exists()
    assert file.read_text() == "whole"
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """Nor is a device such as /dev/null, which root could replace for the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"), atomic(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo() and len(list(tmp_path.iterdir())) == 1
