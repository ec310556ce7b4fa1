"""Histograms of oriented gradients of small grey images, computed so that every machine gets the same bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

HOG_SIZE = 96
"""Height and width of the grey image, in pixels."""

CELL, BINS = 8, 9
"""Pixels along each side of a cell, and orientations of a cell's histogram."""

CELLS = HOG_SIZE // CELL
HOG_LENGTH = CELLS * CELLS * BINS

WEIGHT = 16
"""Gradient magnitudes are counted in sixteenths of a grey level."""

FLOOR = 100
"""Added to the local energy, in squared grey levels: cells without contrast are noise and stay near zero."""

LEVELS = 32
"""Resolution of a descriptor: its values, at most 3 by construction, are multiples of 1/32."""

Descriptors = NDArray[np.uint8]


def hog(grey: NDArray[np.uint8]) -> Descriptors:
    """Describe an image by its edges (Dalal and Triggs, "Histograms of oriented gradients", CVPR 2005).

    Gradients are central differences. Each one is shared between the two nearest of 9 unsigned orientations, by
    magnitude. The 12 × 12 cell histograms are divided by the root of the mean energy of 3 × 3 cells plus ``FLOOR``. All
    sums are of whole numbers.

    Args:
        grey: Shape (96, 96).

    Returns:
        Shape (1296,), values at most 96.
    """
    shares = TABLE.take(gradients(grey), mode="clip")
    place = (shares >> 32) + CELL_START
    own = np.bincount(place, shares >> 16 & 0xFFFF, CELLS * CELLS * (BINS + 1)).reshape(CELLS, CELLS, BINS + 1)
    after = np.bincount(place, shares & 0xFFFF, own.size).reshape(own.shape)
    counts = own[:, :, :BINS]
    counts[:, :, 1:] += after[:, :, : BINS - 1]
    counts[:, :, 0] += after[:, :, BINS - 1]  # orientations are cyclic
    energy = framed((counts * counts).sum(axis=2), np.float64)
    rows = energy[:-2] + energy[1:-1] + energy[2:]
    local = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / (9 * WEIGHT * WEIGHT)
    values = counts * (LEVELS / WEIGHT) / np.sqrt(local + FLOOR)[:, :, None]
    return np.rint(values).astype(np.uint8).ravel()


def gradients(grey: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Position in ``TABLE`` of the gradient of each pixel."""
    framed_grey = framed(grey, np.int16)
    gradient = (framed_grey[2:, 1:-1] - framed_grey[:-2, 1:-1]).astype(np.intp)  # down
    gradient *= 511
    gradient += framed_grey[1:-1, 2:]  # across
    gradient -= framed_grey[1:-1, :-2]
    return gradient.ravel() + (255 * 511 + 255)


def framed(image: NDArray[Any], dtype: type) -> NDArray[Any]:
    """An image with its border repeated once on every side. (``numpy.pad`` takes longer than the rest of a step.)"""
    height, width = image.shape
    larger = np.empty((height + 2, width + 2), dtype)
    larger[1:-1, 1:-1] = image
    larger[0], larger[-1] = larger[1], larger[-2]
    larger[:, 0], larger[:, -1] = larger[:, 1], larger[:, -2]
    return larger


def cell_starts() -> NDArray[np.intp]:
    """Position of the first orientation of each pixel's cell, shape (96 · 96,)."""
    cell = np.arange(HOG_SIZE) // CELL
    return ((cell[:, None] * CELLS + cell) * (BINS + 1)).ravel()


def orientation_table() -> NDArray[np.int64]:
    """For every gradient (down, across), each in -255…255, the lower of its two nearest orientations and both weights.

    They are packed into one number, orientation · 2³² + weight · 2¹⁶ + weight of the next orientation: one look-up
    instead of three. A table, so that the rounding of the angle is decided once for each gradient.
    """
    down, across = np.mgrid[-255:256, -255:256]
    place = np.arctan2(down, across) % np.pi / np.pi * BINS - 0.5
    below = np.floor(place)
    weight = WEIGHT * np.hypot(down, across)
    after = np.rint(weight * (place - below)).astype(np.int64)
    own = np.rint(weight - after).astype(np.int64)
    return (below.astype(np.int64) % BINS << 32 | own << 16 | after).ravel()


MIRRORED = np.arange(HOG_LENGTH).reshape(CELLS, CELLS, BINS)[:, ::-1, ::-1].ravel()
"""Positions at which a descriptor is read to get that of the left-right mirror image."""

CELL_START = cell_starts()
TABLE = orientation_table()
