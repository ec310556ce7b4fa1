"""Grey values of 8 bits from the values that a scanner stored."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
"""Modality values of a picture, float of shape (height, width)."""

Window = tuple[float, float]
"""The values that are shown black and white."""

FILE_WINDOW, FILE_LUT, PERCENTILES, AS_STORED = "file window", "file LUT", "percentiles", "as stored"
"""How a picture is made 8 bits: as the file says, by a window of its volume's percentiles, or it has 8 bits already."""

OUTSIDE = (0.5, 99.5)
"""The window of a volume that states none: so many percent of its values lie below its ends."""

N_LEVELS = 513
RANKS = np.linspace(0, 1, N_LEVELS)


def levels(values: Values) -> NDArray[np.float32]:
    """The values at ``N_LEVELS`` evenly spaced ranks, in rising order: a picture in brief.

    Values that are not finite do not count; a picture without others gives zeros.
    """
    flat = values.astype(np.float32, copy=True).ravel()
    if values.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    if not len(flat):
        return np.zeros(N_LEVELS, np.float32)
    flat.sort()  # much faster for 32-bit floats than for 16-bit integers
    return flat[(RANKS * (len(flat) - 1)).round().astype(np.intp)]


def percentile_window(pictures: Sequence[NDArray[np.float32]]) -> Window:
    """The window of a volume, by the ``levels`` of its pictures."""
    low, high = np.percentile(np.concatenate(pictures).astype(np.float64), OUTSIDE)
    return float(low), float(high)


def share_above(brief: NDArray[np.float32], window: Window, grey: int) -> float:
    """Share of a picture's pixels, by its ``levels``, that are brighter than a grey value of 0-255 in a window."""
    return 1 - float(np.searchsorted(brief, threshold_of(window, grey), side="right")) / len(brief)


def threshold_of(window: Window, grey: int) -> float:
    """The value above which a picture is shown brighter than a grey value of 0-255 in a window."""
    low, high = window
    return low + (grey + 0.5) / 255 * (high - low)


def in_window(values: Values, window: Window) -> NDArray[np.uint8]:
    """Values as grey, linear between the ends of the window and cut off there; what is not finite is black."""
    low, high = window
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    grey = (values.astype(np.float64) - low) * (255 / (high - low))
    return to_bytes(np.nan_to_num(grey, nan=0.0, posinf=255.0, neginf=0.0))


def to_bytes(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey values of 0-255, rounded."""
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)
