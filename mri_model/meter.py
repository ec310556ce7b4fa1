"""Progress a person can read: a bar with rate and remaining time on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mri_model.progress import Tick, is_first_process, silent


@dataclass
class Pace:
    """How fast a stage goes: ``lines`` are due when it begins, every ``every`` seconds, and when it ends."""

    every: float = 5.0
    stage: str = ""
    started: float = 0.0
    said: float = 0.0

    def line(self, stage: str, done: int, total: int) -> str | None:
        """What to say now, None for nothing."""
        now = time.monotonic()
        if stage != self.stage or not done:
            self.stage, self.started, self.said = stage, now, now
        if not done or (done < total and now - self.said < self.every):
            return None
        self.said = now
        seconds = now - self.started
        rate = done / seconds if seconds > 0 else 0.0
        left = f", {duration((total - done) / rate)} left" if 0 < done < total and rate else f" in {duration(seconds)}"
        return f"{stage}: {done}/{total}, {rate:.0f}/s{left}"


def duration(seconds: float) -> str:
    """``7 s``, ``2:05 min``, ``1:02 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


@contextmanager
def metered(quiet: bool = False) -> Iterator[Tick]:
    """A tick that shows itself on stderr for the length of a ``with``."""
    if quiet or not is_first_process():
        yield silent
    elif sys.stderr.isatty():
        with bars() as tick:
            yield tick
    else:
        yield lines(lambda line: print(line, file=sys.stderr, flush=True))


def lines(say: Callable[[str], None], every: float = 5.0) -> Tick:
    """A tick that says a line now and then."""
    pace = Pace(every)

    def tick(stage: str, done: int, total: int) -> None:
        if line := pace.line(stage, done, total):
            say(line)

    return tick


@contextmanager
def bars() -> Iterator[Tick]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def tick(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total, rate="")
            elapsed = progress.tasks[tasks[stage]].elapsed or 0
            rate = f"{done / elapsed:.0f}/s" if elapsed > 0.5 else ""
            progress.update(tasks[stage], completed=done, total=total, rate=rate)

        yield tick
