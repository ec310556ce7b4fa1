"""Pairs of images with a high similarity, found exactly and without an n × n matrix.

Two similarities: the Pearson correlation of thumbnails, and the cosine of HOG descriptors from which the data set's
mean is removed. Both come from products of whole numbers that float32 represents exactly, and are rounded once, to
float32. They do not depend on the processor or on the number of threads.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

TILE = 1024
"""Images are compared in tiles of this size, which bounds memory."""

SAMPLE, DIRECTIONS = 512, 128
"""Size of the sample that gives the principal directions, and their number, see ``PixelVectors.basis``."""

SLACK = 1e-4
"""Tolerance of the first comparison. The rounding error of a float32 product of unit vectors is at most 1e-5 here."""

EXACT = 1024
"""Number of products that are summed in float32: each is at most 2¹⁴, so every partial sum is at most 2²⁴ and exact."""

MEAN_PARTS = 64
"""The data set's mean descriptor is rounded to multiples of 1/64, so that similarities stay whole-number arithmetic."""

Array = NDArray[Any]
Floats = NDArray[np.float32]
Pairs = tuple[Array, Array, Floats]
"""Numbers of the first and of the second image (first < second) and their similarity, each of shape (pairs,)."""

Turn = NDArray[np.intp]
"""Positions at which a vector is read to get that of the mirrored or turned image: a permutation."""


class Vectors(ABC):
    """Vectors of whole numbers, one for each image, with a similarity in -1…1."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def levels(self, which: Array | slice) -> Floats:
        """Some vectors: whole numbers of at most 128, shape (k, length)."""

    @abstractmethod
    def bounds(self, which: Array | slice) -> Floats:
        """Vectors of shape (k, m) whose inner products are at least the similarities, up to ``SLACK``."""

    @abstractmethod
    def similarity(self, products: NDArray[np.int64], first: Array, other: Self, second: Array) -> Floats:
        """Similarities from the inner products of ``first`` of these and ``second`` of the ``other`` vectors."""

    @abstractmethod
    def turned(self, turn: Turn) -> Self:
        """The vectors of the mirrored or turned images."""


@dataclass(frozen=True)
class PixelVectors(Vectors):
    """Thumbnails; their similarity is the Pearson correlation.

    A blank thumbnail has the correlation 1 with equal thumbnails and 0 with all others.

    Attributes:
        grey: uint8 of shape (n, pixels).
        total: Σx over the pixels of each thumbnail, where x is the grey value minus 128; int64.
        spread: nΣx² − (Σx)² for the n pixels of each thumbnail; int64.
        turn: How the thumbnails are mirrored or turned.
        upright: The vectors of the thumbnails as they are; None if these are not turned.
    """

    grey: NDArray[np.uint8]
    total: Array
    spread: Array
    turn: Turn | None = None
    upright: "PixelVectors | None" = None

    @classmethod
    def of(cls, grey: NDArray[np.uint8]) -> Self:
        """Vectors of thumbnails, uint8 of shape (n, pixels)."""
        total, spread = np.empty(len(grey), np.int64), np.empty(len(grey), np.int64)
        for part in parts(len(grey)):
            shifted = grey[part].astype(np.int32) - 128
            total[part] = shifted.sum(axis=1)
            spread[part] = grey.shape[1] * (shifted * shifted).sum(axis=1, dtype=np.int64) - total[part] ** 2
        return cls(grey, total, spread)

    @cached_property
    def basis(self) -> Floats:
        """Principal directions of a sample of the upright thumbnails, orthonormal: shape (pixels, directions)."""
        if self.upright:
            return self.upright.basis
        sample = np.unique(np.linspace(0, len(self) - 1, SAMPLE).astype(np.intp)) if len(self) else slice(0)
        known = centred(self.grey[sample]).astype(np.float64)
        vectors = np.linalg.eigh(known @ known.T)[1]
        return np.linalg.qr(known.T @ vectors[:, : -DIRECTIONS - 1 : -1])[0].astype(np.float32)

    @cached_property
    def sketch(self) -> Floats:
        """Projections on ``basis`` and, last, the length of the remainder: shape (n, directions + 1).

        By the Cauchy-Schwarz inequality ⟨x, y⟩ ≤ ⟨Px, Py⟩ + |x − Px| |y − Py| for every projection P.
        """
        basis = self.basis if self.turn is None else self.basis[np.argsort(self.turn)]  # ⟨Tx, b⟩ = ⟨x, T⁻¹b⟩
        return sketches(self.grey, basis)

    def __len__(self) -> int:
        return len(self.grey)

    def levels(self, which: Array | slice) -> Floats:
        return turned(self.grey[which], self.turn).astype(np.float32) - np.float32(128)

    def bounds(self, which: Array | slice) -> Floats:
        return self.sketch[which]

    def similarity(self, products: NDArray[np.int64], first: Array, other: Self, second: Array) -> Floats:
        covariance = self.grey.shape[1] * products - self.total[first] * other.total[second]
        scale = np.sqrt(self.spread[first]) * np.sqrt(other.spread[second])
        equal = (self.total[first] == other.total[second]) & (self.spread[first] == other.spread[second])
        return np.where(scale > 0, covariance / np.where(scale > 0, scale, 1), equal).astype(np.float32)

    def turned(self, turn: Turn) -> Self:
        return replace(self, turn=turn, upright=self)


def turned(vectors: Array, turn: Turn | None) -> Array:
    return vectors if turn is None else vectors[:, turn]


def sketches(grey: NDArray[np.uint8], basis: Floats) -> Floats:
    """See ``PixelVectors.sketch``. A blank thumbnail has the remainder 1, so that pairs of them are not excluded."""
    sketch = np.empty((len(grey), basis.shape[1] + 1), np.float32)
    for part in parts(len(grey)):
        projected = centred(grey[part]) @ basis
        sketch[part, :-1] = projected
        sketch[part, -1] = np.sqrt(np.maximum(1 - (projected**2).sum(axis=1), 0))
    return sketch


def centred(grey: NDArray[np.uint8]) -> Floats:
    """Thumbnails with mean 0 and length 1; zeros for a blank one. Shape (n, pixels)."""
    pixels = grey.astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), np.float32(1e-6))


@dataclass(frozen=True)
class HogVectors(Vectors):
    """HOG descriptors; their similarity is the cosine after the data set's mean descriptor is removed.

    A blank image, whose descriptor is zero, and one that equals the mean have the similarity 0 with all others.

    Attributes:
        descriptors: uint8 of shape (n, length).
        mean: 64 times the mean descriptor, rounded; int64 of shape (length,).
    """

    descriptors: NDArray[np.uint8]
    mean: NDArray[np.int64]
    turn: Turn | None = None

    @classmethod
    def of(cls, descriptors: NDArray[np.uint8], mean: NDArray[np.int64] | None = None) -> Self:
        """Vectors of descriptors, by default relative to their own mean."""
        return cls(descriptors, mean_descriptor(descriptors) if mean is None else mean)

    def __len__(self) -> int:
        return len(self.descriptors)

    def levels(self, which: Array | slice) -> Floats:
        return turned(self.descriptors[which], self.turn).astype(np.float32)

    def bounds(self, which: Array | slice) -> Floats:
        levels = self.levels(which)
        values = (levels - (self.mean / MEAN_PARTS).astype(np.float32)) * levels.any(axis=1, keepdims=True)
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.float32(1e-9))

    def similarity(self, products: NDArray[np.int64], first: Array, other: Self, second: Array) -> Floats:
        own, own_spread = self.offsets(first)
        others, other_spread = other.offsets(second)
        covariance = MEAN_PARTS**2 * products - own - others + int(self.mean @ self.mean)
        scale = np.sqrt(own_spread) * np.sqrt(other_spread)
        return np.where(scale > 0, covariance / np.where(scale > 0, scale, 1), 0).astype(np.float32)

    def offsets(self, which: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """64 ⟨x, mean⟩ and |64 x − mean|² of some descriptors; the latter is 0 for a blank image."""
        chosen, place = np.unique(which, return_inverse=True)
        values = turned(self.descriptors[chosen], self.turn).astype(np.int64)
        along = MEAN_PARTS * (values @ self.mean)
        spread = MEAN_PARTS**2 * (values * values).sum(axis=1) - 2 * along + int(self.mean @ self.mean)
        return along[place], (spread * values.any(axis=1))[place]

    def turned(self, turn: Turn) -> Self:
        return replace(self, turn=turn)


def mean_descriptor(descriptors: NDArray[np.uint8]) -> NDArray[np.int64]:
    """64 times the mean of descriptors, rounded half up: int64 of shape (length,)."""
    n = max(len(descriptors), 1)
    total = sum(
        (descriptors[part].sum(axis=0, dtype=np.int64) for part in parts(len(descriptors))),
        np.zeros(descriptors.shape[1], np.int64),
    )
    return (MEAN_PARTS * total + n // 2) // n


def parts(n: int) -> list[slice]:
    """Consecutive slices of at most ``TILE`` elements that cover ``n`` elements."""
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def turns(size: int) -> list[Turn]:
    """All mirror images and turns by right angles of a picture of size × size pixels."""
    places = np.arange(size**2).reshape(size, size)
    return [np.rot90(each, number).ravel() for each in (places, places[:, ::-1]) for number in range(4)][1:]


def similar_pairs(
    vectors: Vectors, threshold: float, members: Array | None = None, other: Vectors | None = None
) -> Iterator[Pairs]:
    """Pairs of images whose similarity is at least ``threshold``, tile by tile; some tiles have none.

    Args:
        members: Numbers of the images to compare, in rising order; by default all.
        other: Vectors of turned images: the pair (i, j) has the similarity of i and the turned j. By default those of
            the images themselves.
    """
    other = other or vectors
    members = np.arange(len(vectors)) if members is None else members
    tiles = parts(len(members))
    for position, row in enumerate(tiles):
        rows = members[row]
        left = vectors.bounds(rows)
        for column in tiles[position:]:
            yield tile_pairs(vectors, threshold, rows, left, members[column], other)


def tile_pairs(vectors: Vectors, threshold: float, rows: Array, left: Floats, columns: Array, other: Vectors) -> Pairs:
    """The pairs of one tile; ``left`` are the bounds of ``rows``."""
    close = (left @ other.bounds(columns).T >= threshold - SLACK).ravel()
    first, second = np.divmod(np.flatnonzero(close), len(columns))
    first, second = rows[first], columns[second]
    ordered = first < second
    first, second = first[ordered], second[ordered]
    found = similarities(vectors, first, other, second)
    similar = found >= threshold
    return first[similar], second[similar], found[similar]


def n_tiles(n: int) -> int:
    """Number of tiles that ``similar_pairs`` compares for ``n`` images."""
    return len(parts(n)) * (len(parts(n)) + 1) // 2


def similarities(vectors: Vectors, first: Array, other: Vectors, second: Array) -> Floats:
    """Exact similarity of pairs, shape (pairs,)."""
    return vectors.similarity(products(vectors, first, other, second), first, other, second)


def products(vectors: Vectors, first: Array, other: Vectors, second: Array) -> NDArray[np.int64]:
    """Inner products Σxy of pairs, exact: shape (pairs,)."""
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    if len(rows) * len(columns) <= 24 * len(first):  # many pairs: a matrix product is faster
        return all_products(vectors.levels(rows), other.levels(columns))[row, column]
    found = [each_product(vectors.levels(first[part]), other.levels(second[part])) for part in parts(len(first))]
    return np.concatenate([np.empty(0, np.int64), *found])


def all_products(left: Floats, right: Floats) -> NDArray[np.int64]:
    """Inner products of every row of ``left`` (n, length) with every row of ``right`` (m, length): shape (n, m)."""
    total = np.zeros((len(left), len(right)), np.int64)
    for start in range(0, left.shape[1], EXACT):
        total += (left[:, start : start + EXACT] @ right[:, start : start + EXACT].T).astype(np.int64)
    return total


def each_product(left: Floats, right: Floats) -> NDArray[np.int64]:
    """Inner products of rows at the same position, both of shape (n, length): shape (n,)."""
    total = np.zeros(len(left), np.int64)
    for start in range(0, left.shape[1], EXACT):
        total += np.vecdot(left[:, start : start + EXACT], right[:, start : start + EXACT]).astype(np.int64)
    return total
