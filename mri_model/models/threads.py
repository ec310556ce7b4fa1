"""How many threads to compute with: as many as there are free cores.

Two PyTorch processes that both take all cores of a machine are several times slower than with half of them each,
because every parallel loop waits for its last thread.
"""

import os
import time
from pathlib import Path

import torch

WATCHED_SECONDS = 0.3
"""How long the cores are watched to see how many of them are busy."""

CGROUP = Path("/sys/fs/cgroup")
STAT = Path("/proc/stat")


def use_free_cores() -> str:
    """Make PyTorch compute on the free cores, unless ``OMP_NUM_THREADS`` says how many; returns what was chosen."""
    if given := os.environ.get("OMP_NUM_THREADS"):
        return f"threads: {torch.get_num_threads()} (OMP_NUM_THREADS is {given})"
    cores = usable_cores()
    threads = choose_threads(cores, busy_cores(WATCHED_SECONDS))
    torch.set_num_threads(threads)
    return f"threads: {threads} ({cores} cores" + (", others are busy)" if threads < cores else ")")


def choose_threads(cores: int, busy: float) -> int:
    """The cores that are free, at least half of them: beside several busy processes a fair share is not less."""
    return max(round(cores - busy), cores // 2, 1)


def usable_cores() -> int:
    """Cores that this process may use: its CPU affinity and the quota of its control group."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota(CGROUP)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cgroup_quota(root: Path) -> float | None:
    """CPU quota in cores, of control groups of version 2 or 1; None if there is no limit."""
    try:
        if (root / "cpu.max").is_file():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError):  # another system, or "max"
        return None


def busy_cores(seconds: float) -> float:
    """Mean number of cores that are busy during the next ``seconds``; 0 on systems that do not say."""
    try:
        before = busy_ticks(STAT.read_text())
        time.sleep(seconds)
        return (busy_ticks(STAT.read_text()) - before) / os.sysconf("SC_CLK_TCK") / seconds
    except (OSError, ValueError, IndexError):
        return 0.0


def busy_ticks(stat: str) -> int:
    """Clock ticks of work of all cores since the start, from ``/proc/stat``: all but idle and waiting for disks."""
    user, nice, system, _, _, *others = map(int, stat.splitlines()[0].split()[1:9])
    return user + nice + system + sum(others)
