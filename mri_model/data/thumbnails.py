"""Thumbnails of grey images, computed in whole numbers so that every machine gets the same bytes."""

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
    """The thumbnail: mean grey value of each cell, rounded half up.

    Args:
        sums: Result of ``cell_sums``, int64 of shape (64, 64).
        n_pixels: Number of pixels of the image.

    Returns:
        uint8 of shape (64, 64).
    """
    return ((sums + n_pixels // 2) // n_pixels).astype(np.uint8)


def cell_sums(plane: np.ndarray) -> np.ndarray:
    """Sums of the grey values in 64 x 64 equal cells, times 64².

    A pixel on the border of two cells counts in both, in proportion to its area. The sums come from the integral image
    (Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984), whose linear interpolation is exact for pixels of
    constant value.

    Args:
        plane: uint8 of shape (height, width).

    Returns:
        int64 of shape (64, 64).
    """
    depth, dtype = (cv2.CV_32S, np.int32) if plane.size < INT32_PIXELS else (cv2.CV_64F, np.float64)
    shape = (plane.shape[0] + 1, plane.shape[1] + 1)
    size = math.prod(shape)
    if BUFFERS.sums.size < size or BUFFERS.sums.dtype != dtype:
        BUFFERS.sums = np.empty(size, dtype)
    sums = cv2.integral(plane, sum=BUFFERS.sums[:size].reshape(shape), sdepth=depth)
    return np.diff(np.diff(at_edges(at_edges(sums).T).T, axis=0), axis=1)


def at_edges(sums: np.ndarray) -> np.ndarray:
    """Interpolate cumulative sums at the 65 cell borders along the first axis, times 64.

    Args:
        sums: Cumulative sums, whole numbers of shape (n, m).

    Returns:
        int64 of shape (65, m).
    """
    whole, part = np.divmod(np.arange(THUMBNAIL_SIZE + 1) * (len(sums) - 1), THUMBNAIL_SIZE)
    after = np.minimum(whole + 1, len(sums) - 1)
    return (
        sums[whole].astype(np.int64) * (THUMBNAIL_SIZE - part)[:, None] + sums[after].astype(np.int64) * part[:, None]
    )
