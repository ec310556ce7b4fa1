"""Progress of long work: callbacks, and their display as a bar on a terminal or as a line every few seconds."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

ProgressCallback = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; ``done`` rises from 0 to ``total`` within a stage."""

Log = Callable[[str], None]
"""Called with one line of text for the person who started the work."""

T = TypeVar("T")


def is_first_process() -> bool:
    """Whether this process reports: rank 0 under ``torchrun``, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def is_distributed() -> bool:
    """Whether ``torchrun`` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def no_progress(stage: str, done: int, total: int) -> None:
    """No-op progress callback."""


def no_log(line: str) -> None:
    """No-op log callback."""


def with_progress(items: Iterable[T], total: int, stage: str, progress: ProgressCallback) -> Iterator[T]:
    """Yield ``items`` and report progress after each."""
    progress(stage, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)


@dataclass
class ProgressLine:
    """Rate and remaining time as text: one line every ``every`` seconds, and one at the end of a stage."""

    every: float = 5.0
    stage: str = ""
    started: float = 0.0
    last_line: float = 0.0

    def update(self, stage: str, done: int, total: int) -> str | None:
        """The line to print now, None where none is due."""
        now = time.monotonic()
        if stage != self.stage or not done:
            self.stage, self.started, self.last_line = stage, now, now
        if not done or (done < total and now - self.last_line < self.every):
            return None
        self.last_line = now
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
def show_progress(quiet: bool = False) -> Iterator[ProgressCallback]:
    """A progress callback that writes to stderr: a bar on a terminal, lines elsewhere, nothing if ``quiet``."""
    if quiet or not is_first_process():
        yield no_progress
    elif sys.stderr.isatty():
        with progress_bars() as progress:
            yield progress
    else:
        yield progress_lines(lambda line: print(line, file=sys.stderr, flush=True))


def progress_lines(log: Log, every: float = 5.0) -> ProgressCallback:
    """A progress callback that logs a line every ``every`` seconds."""
    line = ProgressLine(every)

    def progress(stage: str, done: int, total: int) -> None:
        if text := line.update(stage, done, total):
            log(text)

    return progress


@contextmanager
def progress_bars() -> Iterator[ProgressCallback]:
    """A progress callback that draws one bar for each stage on stderr."""
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
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
            elif not done:  # the stage begins again, for example with the next model of a sweep
                bars.reset(tasks[stage], total=total)
            elapsed = bars.tasks[tasks[stage]].elapsed or 0
            rate = f"{done / elapsed:.0f}/s" if elapsed > 0.5 else ""
            bars.update(tasks[stage], completed=done, total=total, rate=rate)

        yield progress
