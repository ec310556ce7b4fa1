"""Pairs of thumbnails with a high Pearson correlation, found exactly and without comparing all pixels of all pairs."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri_model.progress import ProgressCallback, no_progress

TILE = 1024
"""Pictures are compared in tiles of this size, which bounds memory."""

SAMPLE, DIRECTIONS = 512, 128
"""Size of the sample that gives the principal directions, and their number, see ``sketches``."""

SLACK = 1e-4
"""Tolerance of the first comparison. The rounding error of 129 float32 products of unit vectors is at most 1e-5."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Pictures:
    """The distinct pairs of thumbnail and label, numbered in order of first appearance.

    Attributes:
        of_row: Number of the picture of each accepted image.
        size: Number of images of each picture.
        label: Code of each picture's label.
        tumor: Code of each picture's tumor type.
        grey: All thumbnails of the inventory, uint8 of shape (n, pixels).
        place: Row of each picture in ``grey``.
        total: Σx over the pixels of each picture, where x is the grey value minus 128; int64.
        spread: nΣx² − (Σx)² for the n pixels of each picture; int64.
    """

    of_row: Array
    size: Array
    label: Array
    tumor: Array
    grey: Array
    place: Array
    total: Array
    spread: Array

    def __len__(self) -> int:
        return len(self.place)

    def levels(self, which: Array | slice) -> NDArray[np.float32]:
        """Grey values minus 128 of some pictures: whole numbers, float32 of shape (pictures, pixels)."""
        return self.grey[self.place[which]].astype(np.float32) - np.float32(128)


def distinct_pictures(rows: pd.DataFrame, thumbnails: np.ndarray, ok: Array) -> Pictures:
    """Collect the distinct pictures.

    Args:
        rows: The accepted images.
        thumbnails: uint8 of shape (n, 64, 64), of all files.
        ok: Position of each row in ``thumbnails``.
    """
    grey = thumbnails.reshape(len(thumbnails), math.prod(thumbnails.shape[1:]))
    digests = [hashlib.sha256(grey[position]).digest() for position in ok]
    of_row = rows.groupby([pd.factorize(np.array(digests, dtype=object))[0], rows["label"]], sort=False).ngroup()
    number, row, size = np.unique(of_row.to_numpy(), return_index=True, return_counts=True)
    total, spread = np.empty(len(number), np.int64), np.empty(len(number), np.int64)
    for part in parts(len(number)):
        shifted = grey[ok[row[part]]].astype(np.int32) - 128
        total[part] = shifted.sum(axis=1)
        spread[part] = grey.shape[1] * (shifted * shifted).sum(axis=1, dtype=np.int64) - total[part] ** 2
    label, tumor = (pd.factorize(rows[column])[0][row] for column in ("label", "tumor"))
    return Pictures(of_row.to_numpy(), size, label, tumor, grey, ok[row], total, spread)


def parts(n: int) -> list[slice]:
    """Consecutive slices of at most ``TILE`` elements that cover ``n`` elements."""
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def duplicate_pairs(
    pictures: Pictures, threshold: float, progress: ProgressCallback = no_progress
) -> Iterator[tuple[Array, Array, Array]]:
    """Pairs of pictures whose correlation is at least ``threshold``, tile by tile.

    Yields:
        Numbers of the first and of the second picture (first < second) and their correlation, each of shape (pairs,).
    """
    sketch = sketches(pictures)
    tiles = [
        (row, column) for row in parts(len(pictures)) for column in parts(len(pictures)) if row.start <= column.start
    ]
    progress("compare", 0, len(tiles))
    for done, (row, column) in enumerate(tiles, start=1):
        close = (sketch[row] @ sketch[column].T >= threshold - SLACK).ravel()
        first, second = np.divmod(np.flatnonzero(close), column.stop - column.start)
        first, second = first + row.start, second + column.start
        ordered = first < second
        first, second = first[ordered], second[ordered]
        correlation = correlations(pictures, first, second)
        duplicate = correlation >= threshold
        yield first[duplicate], second[duplicate], correlation[duplicate]
        progress("compare", done, len(tiles))


def sketches(pictures: Pictures) -> NDArray[np.float32]:
    """Short vectors whose inner products are upper bounds of the correlations.

    Each picture is centred, scaled to length one and projected on the principal directions of a sample of pictures. The
    last entry of its vector is the length of the remainder. By the Cauchy-Schwarz inequality
    ⟨x, y⟩ ≤ ⟨Px, Py⟩ + |x − Px| |y − Py| for every projection P. A blank picture has the remainder 1, so that pairs of
    blank pictures are not excluded.

    Returns:
        Shape (pictures, directions + 1).
    """
    sample = np.unique(np.linspace(0, len(pictures) - 1, SAMPLE).astype(np.intp)) if len(pictures) else slice(0)
    known = centred(pictures, sample)
    vectors = np.linalg.eigh(known @ known.T)[1]
    basis = np.linalg.qr(known.T @ vectors[:, : -DIRECTIONS - 1 : -1])[0]
    sketch = np.empty((len(pictures), basis.shape[1] + 1), np.float32)
    for part in parts(len(pictures)):
        projected = centred(pictures, part) @ basis
        sketch[part, :-1] = projected
        sketch[part, -1] = np.sqrt(np.maximum(1 - (projected**2).sum(axis=1), 0))
    return sketch


def centred(pictures: Pictures, which: Array | slice) -> NDArray[np.float64]:
    """Some pictures with mean 0 and length 1; zeros for a blank picture. Shape (pictures, pixels)."""
    pixels = pictures.levels(which).astype(np.float64)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-9)


def correlations(pictures: Pictures, first: Array, second: Array) -> NDArray[np.float32]:
    """Pearson correlation of pairs, shape (pairs,).

    A blank picture has the correlation 1 with equal pictures and 0 with all others.
    """
    n_pixels = pictures.grey.shape[1]
    covariance = n_pixels * products(pictures, first, second) - pictures.total[first] * pictures.total[second]
    scale = np.sqrt(pictures.spread[first]) * np.sqrt(pictures.spread[second])
    equal = (pictures.total[first] == pictures.total[second]) & (pictures.spread[first] == pictures.spread[second])
    return np.where(scale > 0, covariance / np.where(scale > 0, scale, 1), equal).astype(np.float32)


def products(pictures: Pictures, first: Array, second: Array) -> NDArray[np.int64]:
    """Σxy of pairs of pictures, exact: shape (pairs,).

    A product is at most 2¹⁴. A partial sum of 1024 products is therefore a whole number of at most 2²⁴, which float32
    represents exactly, in any order of summation.
    """
    rows, row = numbered(first, len(pictures))
    columns, column = numbered(second, len(pictures))
    if len(rows) * len(columns) <= 24 * len(first):  # many pairs: a matrix product is faster
        return all_products(pictures.levels(rows), pictures.levels(columns))[row, column]
    found = [each_product(pictures.levels(first[part]), pictures.levels(second[part])) for part in parts(len(first))]
    return np.concatenate([np.empty(0, np.int64), *found])


def numbered(values: Array, n: int) -> tuple[Array, Array]:
    """The distinct ``values`` (each below ``n``) in rising order, and the position of each value among them."""
    present = np.zeros(n, dtype=bool)
    present[values] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[values]


def all_products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.int64]:
    """Inner products of every row of ``left`` (n, pixels) with every row of ``right`` (m, pixels): shape (n, m)."""
    total = np.zeros((len(left), len(right)), np.int64)
    for start in range(0, left.shape[1], 1024):
        total += (left[:, start : start + 1024] @ right[:, start : start + 1024].T).astype(np.int64)
    return total


def each_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.int64]:
    """Inner products of rows at the same position, both of shape (n, pixels): shape (n,)."""
    total = np.zeros(len(left), np.int64)
    for start in range(0, left.shape[1], 1024):
        total += np.vecdot(left[:, start : start + 1024], right[:, start : start + 1024]).astype(np.int64)
    return total
