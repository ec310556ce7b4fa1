"""Errors of libtiff, which Pillow decodes TIFF with: kept for the caller instead of printed to stderr."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

_errors = threading.local()


@ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
def _count_error(module: bytes, text: bytes, arguments: int) -> None:
    _errors.count = getattr(_errors, "count", 0) + 1


@contextmanager
def damage_reported() -> Iterator[list[bool]]:
    """Yield a list that is not empty afterwards if libtiff reported an error in this thread meanwhile.

    libtiff repairs some damage, such as bad code words of a fax image, and Pillow does not say so.
    """
    found: list[bool] = []
    _errors.count = 0
    try:
        yield found
    finally:
        found += [True] * bool(_errors.count)


def _install() -> None:
    """Where Pillow brings its own libtiff; elsewhere libtiff prints, and repairs are not noticed."""
    for file in (Path(Image.__file__).parents[1] / "pillow.libs").glob("libtiff-*.so*"):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(file))
            library.TIFFSetErrorHandler(_count_error)
            library.TIFFSetWarningHandler(None)


_install()
