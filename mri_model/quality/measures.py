"""Small measures that several checks use."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd


def digests(thumbnails: np.ndarray) -> list[bytes]:
    """Equal where thumbnails are equal."""
    return [hashlib.blake2b(thumbnail.tobytes(), digest_size=16).digest() for thumbnail in thumbnails]


def numbered(*columns: Any) -> np.ndarray:
    """int (rows,): equal where all columns are equal."""
    return pd.DataFrame(dict(enumerate(columns))).groupby(list(range(len(columns))), dropna=False).ngroup().to_numpy()


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole`` as 0…1; None if there is nothing."""
    return round(part / whole, 6) if whole else None


def counted(values: pd.Series) -> dict[str, int]:
    """How often each value occurs: most frequent first, then by name."""
    counts = {str(value): int(n) for value, n in values.value_counts().items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def n_pairs(numbers: np.ndarray) -> int:
    """How many pairs of rows have the same number."""
    counts = np.unique(numbers, return_counts=True)[1].astype(object)  # Python integers cannot overflow
    return int((counts * (counts - 1) // 2).sum())


MIN_TESTED = 100
"""With fewer test images an accuracy is too uncertain (±10 percentage points) to call anything good."""


MIN_SERIOUS = 30
"""With fewer test images no accuracy is a serious issue."""


def exceeds(accuracy: float, baseline: float, n: int, excess: float) -> bool:
    """Whether an accuracy on ``n`` images is ``excess`` and two standard errors (at most 1/√n) above a baseline."""
    return accuracy - baseline >= max(excess, n**-0.5)
