"""Work in threads, results in order. OpenCV, simplejpeg, hashlib and SQLite let go of Python's lock."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

AT_ONCE = 32
"""Items a thread takes at a time: handing over a single one costs more than a short call itself."""

AHEAD = 3
"""Handfuls begun per thread before the first result is taken: bounds memory, and no thread waits."""


def ordered_map(function: Callable[[In], Out], items: Iterable[In], threads: int | None = None) -> Iterator[Out]:
    """``map(function, items)`` by ``threads`` threads (default: one a core), never far ahead of who reads it."""
    threads = threads or os.cpu_count() or 1
    pending: deque[Future[list[Out]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for chunk in chunks(items, AT_ONCE):
                pending.append(pool.submit(lambda taken: [function(item) for item in taken], chunk))
                if len(pending) >= AHEAD * threads:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def chunks(items: Iterable[In], size: int) -> Iterator[list[In]]:
    """Lists of ``size`` items; the last one may be shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
