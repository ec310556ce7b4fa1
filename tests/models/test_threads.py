"""How many threads are chosen on free, busy and limited machines."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mri_model.models import threads
from mri_model.models.threads import busy_cores, busy_ticks, cgroup_quota, choose_threads, usable_cores, use_free_cores

STAT = "cpu  100 10 30 5000 70 0 4 6 0 0\ncpu0 50 5 15 2500 35 0 2 3 0 0\n"


@pytest.fixture
def kept_threads() -> object:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "busy", "expected"),
    [(2, 0.0, 2), (2, 0.3, 2), (2, 0.9, 1), (2, 2.0, 1), (1, 1.0, 1), (16, 4.2, 12), (16, 16.0, 8)],
)
def test_free_cores_are_used_and_half_of_all_at_least(cores: int, busy: float, expected: int) -> None:
    assert choose_threads(cores, busy) == expected


@given(cores=st.integers(1, 512), busy=st.floats(0, 600))
def test_there_is_a_thread_and_never_more_than_cores(cores: int, busy: float) -> None:
    assert 1 <= choose_threads(cores, busy) <= cores


def test_work_is_all_but_idle_and_waiting_for_disks() -> None:
    assert busy_ticks(STAT) == 150


def test_a_system_that_does_not_say_counts_as_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(threads, "STAT", tmp_path / "missing")
    assert busy_cores(0.01) == 0
    (tmp_path / "other").write_text("intr 1 2 3\n")
    monkeypatch.setattr(threads, "STAT", tmp_path / "other")
    assert busy_cores(0.01) == 0


@pytest.mark.parametrize(("text", "quota"), [("150000 100000", 1.5), ("max 100000", None), ("", None)])
def test_the_quota_of_a_control_group_of_version_2(tmp_path: Path, text: str, quota: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cgroup_quota(tmp_path) == quota


@pytest.mark.parametrize(("text", "quota"), [("200000", 2.0), ("-1", None)])
def test_the_quota_of_a_control_group_of_version_1(tmp_path: Path, text: str, quota: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(text)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cgroup_quota(tmp_path) == quota
    assert cgroup_quota(tmp_path / "missing") is None


def test_a_quota_limits_the_usable_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000")
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    assert usable_cores() == 1


@pytest.mark.usefixtures("kept_threads")
def test_the_choice_is_set_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(threads, "busy_cores", lambda seconds: 1.0)
    assert use_free_cores() == "threads: 3 (4 cores, others are busy)"
    assert torch.get_num_threads() == 3


def test_a_number_of_threads_that_the_user_gave_stays(monkeypatch: pytest.MonkeyPatch, kept_threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert use_free_cores() == f"threads: {kept_threads} (OMP_NUM_THREADS is 7)"
    assert torch.get_num_threads() == kept_threads
