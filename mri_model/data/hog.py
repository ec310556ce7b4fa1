"""Histograms of oriented gradients of small grey images, computed so that every machine gets the same bytes."""

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
    padded = np.pad(grey.astype(np.int32), 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    gradient = (down * 511 + across).ravel() + (255 * 511 + 255)
    place = CELL_START + ORIENTATION[gradient]
    counts = np.bincount(
        np.concatenate([place, CELL_START + NEXT_ORIENTATION[gradient]]),
        np.concatenate([OWN_WEIGHT[gradient], NEXT_WEIGHT[gradient]]),
        HOG_LENGTH,
    ).reshape(CELLS, CELLS, BINS)
    energy = np.pad((counts * counts).sum(axis=2), 1, mode="edge")
    local = sum(energy[i : i + CELLS, j : j + CELLS] for i in range(3) for j in range(3)) / (9 * WEIGHT * WEIGHT)
    values = counts * (LEVELS / WEIGHT) / np.sqrt(local + FLOOR)[:, :, None]
    return np.rint(values).astype(np.uint8).ravel()


def cell_starts() -> NDArray[np.intp]:
    """Position of the first orientation of each pixel's cell in the descriptor, shape (96 · 96,)."""
    cell = np.arange(HOG_SIZE) // CELL
    return ((cell[:, None] * CELLS + cell) * BINS).ravel()


def orientation_tables() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """For every gradient (down, across), each in -255…255: its two nearest orientations and their whole weights.

    A table, so that the angle's rounding is decided once for each gradient.
    """
    down, across = np.mgrid[-255:256, -255:256]
    place = np.arctan2(down, across) % np.pi / np.pi * BINS - 0.5
    below = np.floor(place)
    weight = WEIGHT * np.hypot(down, across)
    after = np.rint(weight * (place - below))
    own = np.rint(weight - after)
    orientation = below.astype(np.intp) % BINS
    return orientation.ravel(), ((orientation + 1) % BINS).ravel(), own.ravel(), after.ravel()


MIRRORED = np.arange(HOG_LENGTH).reshape(CELLS, CELLS, BINS)[:, ::-1, ::-1].ravel()
"""Positions at which a descriptor is read to get that of the left-right mirror image."""

CELL_START = cell_starts()
ORIENTATION, NEXT_ORIENTATION, OWN_WEIGHT, NEXT_WEIGHT = orientation_tables()
