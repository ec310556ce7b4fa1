"""The project's thread pool. OpenCV, simplejpeg, hashlib and SQLite release Python's global lock, so threads help."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

ITEMS_PER_TASK = 32
"""Items in one task of a thread. Handing over items one by one costs more than a short call itself."""

TASKS_PER_THREAD = 3
"""Tasks submitted per thread ahead of the reader. This bounds memory and keeps every thread busy."""


def ordered_map(
    function: Callable[[In], Out],
    items: Iterable[In],
    threads: int | None = None,
    items_per_task: int = ITEMS_PER_TASK,
) -> Iterator[Out]:
    """Ordered thread-pool map with bounded look-ahead.

    If ``function`` raises, or the reader stops, no further task is started.

    Args:
        function: Called in a thread with one item.
        items: Read from the caller's thread, as needed.
        threads: Number of threads; default: one per core.
        items_per_task: Items that a thread takes at a time. Take few if a call is long.

    Yields:
        The results, in the order of ``items``.
    """
    threads = threads or os.cpu_count() or 1
    pending: deque[Future[list[Out]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for chunk in chunks(items, items_per_task):
                pending.append(pool.submit(lambda taken: [function(item) for item in taken], chunk))
                if len(pending) >= TASKS_PER_THREAD * threads:
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
