"""Small versions of grey images, computed in whole numbers so that every machine gets the same bytes."""

import math
import threading

import cv2
import numpy as np

THUMBNAIL_SIZE = 64
"""Height and width of a thumbnail in pixels."""

INT32_PIXELS = 1 << 23
"""Up to this many pixels the sum of all grey values fits in int32."""


class Buffers(threading.local):
    """Memory for the integral image that each thread reuses.

    Allocating fresh memory for each file takes as long as the computation.
    """

    def __init__(self) -> None:
        self.sums = np.empty(0, np.int32)


BUFFERS = Buffers()


def means(sums: np.ndarray, n_pixels: int) -> np.ndarray:
    """The small image: mean grey value of each cell, rounded half up.

    Args:
        sums: Result of ``cell_sums``, int64 of shape (size, size).
        n_pixels: Number of pixels of the image.

    Returns:
        uint8 of shape (size, size).
    """
    return ((sums + n_pixels // 2) // n_pixels).astype(np.uint8)


def integral(plane: np.ndarray) -> np.ndarray:
    """The integral image (Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984).

    Args:
        plane: uint8 of shape (height, width).

    Returns:
        Whole numbers of shape (height + 1, width + 1), valid until the thread calls this again.
    """
    depth, dtype = (cv2.CV_32S, np.int32) if plane.size < INT32_PIXELS else (cv2.CV_64F, np.float64)
    shape = (plane.shape[0] + 1, plane.shape[1] + 1)
    size = math.prod(shape)
    if BUFFERS.sums.size < size or BUFFERS.sums.dtype != dtype:
        BUFFERS.sums = np.empty(size, dtype)
    return cv2.integral(plane, sum=BUFFERS.sums[:size].reshape(shape), sdepth=depth)


def cell_sums(sums: np.ndarray, size: int) -> np.ndarray:
    """Sums of the grey values in size × size equal cells, times size².

    A pixel on the border of two cells counts in both, in proportion to its area: linear interpolation of the integral
    image is exact for pixels of constant value.

    Args:
        sums: Result of ``integral``.
        size: Number of cells along each axis.

    Returns:
        int64 of shape (size, size).
    """
    return np.diff(np.diff(at_edges(at_edges(sums, size).T, size).T, axis=0), axis=1)


def at_edges(sums: np.ndarray, size: int) -> np.ndarray:
    """Interpolate cumulative sums at the size + 1 cell borders along the first axis, times ``size``.

    Args:
        sums: Cumulative sums, whole numbers of shape (n, m).
        size: Number of cells.

    Returns:
        int64 of shape (size + 1, m).
    """
    whole, part = np.divmod(np.arange(size + 1) * (len(sums) - 1), size)
    after = np.minimum(whole + 1, len(sums) - 1)
    return sums[whole].astype(np.int64) * (size - part)[:, None] + sums[after].astype(np.int64) * part[:, None]
