"""Large files are opened one at a time, whatever the number of threads: their volumes stay in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from mri_model.data.decode import Content

LARGE = 32 << 20
"""Bytes of a file; a volume that is stored with gzip takes two to five times as much memory."""

one_at_a_time = Lock()


@contextmanager
def in_turn(content: Content) -> Iterator[None]:
    """Waits until no other large file is open, if this one is large."""
    if len(content.data) <= LARGE:
        yield
        return
    with one_at_a_time:
        yield
