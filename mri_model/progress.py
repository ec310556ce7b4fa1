"""How long work tells where it stands."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Tick = Callable[[str, int, int], None]
"""Called as ``tick(stage, done, total)``; ``done`` rises from 0 to ``total`` within a stage."""

T = TypeVar("T")


def is_first_process() -> bool:
    """Of those that ``torchrun`` started: the one that speaks."""
    return os.environ.get("RANK", "0") == "0"


def silent(stage: str, done: int, total: int) -> None:
    """The tick of one who does not want to know."""


def ticking(items: Iterable[T], total: int, stage: str, tick: Tick) -> Iterator[T]:
    """Pass ``items`` through and tick for each."""
    tick(stage, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        tick(stage, done, total)
