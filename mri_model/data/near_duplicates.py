"""Near duplicates: images that show practically the same picture."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri_model.data.medical.slices import SUFFIX
from mri_model.data.patients import optional_column
from mri_model.data.pictures import Array, Pictures

NEAR_DUPLICATE_CORRELATION = 0.95
"""Two images are near duplicates from this Pearson correlation of their 64×64 grey thumbnails."""

SAME_PICTURE = 0.999
"""Two files are the same picture, encoded twice, from this correlation.

Measured on the published data set: different pictures under two labels reach at most 0.9914, re-encoded copies exceed
0.999."""

MAX_KEPT = 8_000_000
"""Maximum number of pairs that are returned, at 12 bytes each."""

PAIR_KINDS = ("same bytes", "same picture", "near duplicate")


@dataclass(frozen=True)
class NearDuplicates:
    """All pairs that reach ``NEAR_DUPLICATE_CORRELATION``, sorted by (``first``, ``second``).

    Attributes:
        first: Position of one image in the inventory's frame, int32 of shape (pairs,).
        second: Position of the other image; it is larger than ``first``.
        correlation: float32 of shape (pairs,).
        complete: False if there were more than ``MAX_KEPT`` pairs, of which only the first found are here.
    """

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray
    complete: bool = True


def pair_kinds(frame: pd.DataFrame, duplicates: NearDuplicates) -> NDArray[np.str_]:
    """The kind of each pair, one of ``PAIR_KINDS``: str of shape (pairs,).

    ``same picture`` means other bytes and a correlation of at least ``SAME_PICTURE``.
    """
    content = content_numbers(frame)
    same_bytes = content[duplicates.first] == content[duplicates.second]
    return np.select([same_bytes, duplicates.correlation >= SAME_PICTURE], PAIR_KINDS[:2], PAIR_KINDS[2])


def content_numbers(frame: pd.DataFrame) -> Array:
    """int (rows,): equal where the bytes of the files are equal and, of a file with several slices, the slice."""
    of_series = optional_column(frame, "series").notna()
    if not of_series.any():
        return pd.factorize(frame["sha256"])[0]
    slices = frame["path"].str.extract(SUFFIX, expand=False).where(of_series).fillna("")
    return pd.factorize(frame["sha256"] + slices)[0]


def duplicate_free(groups: pd.Series, trained: Array, near_duplicate: Array) -> Array:
    """Whether each image has neither a near duplicate nor another image of its group in training.

    Args:
        groups: Group of each image, null where it has none.
        trained: Whether an image was trained on.
        near_duplicate: Whether an image has a near duplicate, of any class, in training.
    """
    return ~(near_duplicate | groups.isin(groups[trained].dropna()).to_numpy(bool))


class PairTotals:
    """Counts, conflicts and kept pairs, updated tile by tile so that memory stays bounded.

    Attributes:
        n_near_duplicates: Number of near duplicates of each picture's images.
        conflict: Whether each picture has two labels.
        n_pairs: Number of pairs of images so far.
    """

    def __init__(self, pictures: Pictures) -> None:
        size = pictures.size
        self.pictures = pictures
        self.n_near_duplicates = size - 1
        self.conflict = np.zeros(len(pictures), dtype=bool)
        self.n_pairs = int((size * (size - 1) // 2).sum())
        self.kept: list[tuple[Array, Array, Array]] = []
        self.capacity = MAX_KEPT
        self.rows = np.argsort(pictures.of_row, kind="stable")  # sorted by picture
        self.start = np.cumsum(size) - size
        rank = np.arange(len(self.rows)) - np.repeat(self.start, size)
        copy, further = ragged(np.repeat(size, size) - rank - 1, self.capacity)
        self.keep(copy, copy + 1 + further, np.ones(len(copy), np.float32))

    def add(self, first: Array, second: Array, correlation: Array) -> None:
        """Add the near duplicates among some pairs of pictures. Each pair must be added once."""
        near = correlation >= NEAR_DUPLICATE_CORRELATION
        first, second, correlation = first[near], second[near], correlation[near]
        size, label = self.pictures.size, self.pictures.label
        np.add.at(self.n_near_duplicates, first, size[second])
        np.add.at(self.n_near_duplicates, second, size[first])
        self.n_pairs += int((size[first] * size[second]).sum())
        differ = (correlation >= SAME_PICTURE) & (label[first] != label[second])
        self.conflict[first[differ]] = self.conflict[second[differ]] = True
        pair, place = ragged(size[first] * size[second], self.capacity)
        first, second = first[pair], second[pair]
        copies, others = self.start[first] + place // size[second], self.start[second] + place % size[second]
        self.keep(copies, others, correlation[pair])

    def keep(self, left: Array, right: Array, correlation: Array) -> None:
        """Keep pairs of images, given by their positions in ``rows``."""
        one, other = self.rows[left].astype(np.int32), self.rows[right].astype(np.int32)
        self.kept.append((np.minimum(one, other), np.maximum(one, other), correlation))
        self.capacity -= len(correlation)

    def duplicates(self, positions: Array) -> NearDuplicates:
        """The pairs that were kept.

        Args:
            positions: Position of each accepted image in the inventory's frame, in rising order.
        """
        first, second, correlation = (np.concatenate(column) for column in zip(*self.kept, strict=True))
        self.kept.clear()
        order = np.argsort(first.astype(np.int64) << 32 | second)
        first, second = positions.astype(np.int32)[first[order]], positions.astype(np.int32)[second[order]]
        return NearDuplicates(first, second, correlation[order], self.n_pairs <= MAX_KEPT)


def ragged(lengths: Array, limit: int) -> tuple[Array, Array]:
    """Number the elements of consecutive ranges of given lengths, up to ``limit`` elements in all.

    Returns:
        The number of the range of each element, and the position of each element within its range.
    """
    ends = np.minimum(np.cumsum(lengths), limit)
    lengths = np.diff(ends, prepend=0)
    which = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return which, np.arange(len(which)) - np.repeat(ends - lengths, lengths)
