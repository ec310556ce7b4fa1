"""Which images are copies of which: the groups a split must not tear apart."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mri_model.data.phash import hash_links, perceptual_hashes
from mri_model.progress import ProgressCallback, no_progress

NEAR_DUPLICATE_CORRELATION = 0.95
"""Pearson correlation of 64×64 grey thumbnails from which two images count as duplicates."""

SAME_PICTURE = 0.999
"""Correlation from which two files hold one picture, encoded twice.

Measured on the published set: different bytes under two labels reach 0.9914 at most, re-encoded copies exceed 0.999.
"""

MIN_CONTRAST = 4
"""Standard deviation, in grey values, below which a picture's perceptual hash is noise and links nothing."""

RUN_SECONDS = 60
"""Time-stamped files of one tumor at most this far apart belong to one series."""

MAX_KEPT = 8_000_000
"""How many pairs are kept at most, 12 bytes each."""

TILE = 1024
SAMPLE, DIRECTIONS = 512, 128
SLACK = 1e-4  # far above what float32 rounds off the sum of 129 products of unit vectors, 1e-5 at worst

TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d_\d\d_\d\d)")

Array = NDArray[Any]


@dataclass(frozen=True)
class NearDuplicates:
    """All pairs that reach ``NEAR_DUPLICATE_CORRELATION``.

    ``first`` < ``second`` are int32 positions in the inventory's frame, ``correlation`` is float32, sorted by
    (``first``, ``second``). ``complete`` is False where there were more pairs than are kept.
    """

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray
    complete: bool = True


def find_near_duplicates(
    frame: pd.DataFrame, thumbnails: np.ndarray, progress: ProgressCallback = no_progress
) -> tuple[pd.DataFrame, NearDuplicates]:
    """Find near duplicates and group the images that belong together.

    Images of one tumor type share a group if a chain of these links them: the same bytes, a correlation of at least
    ``NEAR_DUPLICATE_CORRELATION``, perceptual hashes at most two bits apart, or file-name times of one run.

    Correlations are computed from integers and rounded once, to float32, before they are compared: threads and
    processor change no answer. Groups and counts are exact even where not all pairs are kept.

    Args:
        frame: An inventory's rows.
        thumbnails: uint8 of shape (rows of ``frame``, 64, 64).

    Returns:
        The frame with three more columns, null where a file was rejected, and all pairs of near duplicates:
        ``group``; ``n_near_duplicates``, the number of images of any tumor type that reach the correlation;
        ``conflict``, one picture under two labels (the same bytes, or a correlation of at least ``SAME_PICTURE``).
    """
    ok = np.flatnonzero(frame["status"] == "ok")
    rows = frame.iloc[ok].reset_index(drop=True)
    pictures = distinct_pictures(rows, thumbnails, ok)
    tally = Tally(pictures)
    for pairs in duplicate_pairs(pictures, progress):
        tally.add(*pairs)
    tally.link(*perceptual_links(pictures))
    runs = np.array(list(series_links(rows)), dtype=np.intp).reshape(-1, 2)
    alike = rows.assign(component=tally.component[pictures.of_row])
    links = np.concatenate([chain(alike, ["component"]), chain(rows, ["tumor", "sha256"]), runs])
    found = pd.DataFrame(
        {
            "group": connected(links, len(rows)),
            "n_near_duplicates": tally.n_near_duplicates[pictures.of_row],
            "conflict": tally.conflict[pictures.of_row] | labels_differ(rows, "sha256"),
        },
        index=frame.index[ok],
    )
    done = frame.assign(
        group=found["group"].astype("Int64").reindex(frame.index),
        n_near_duplicates=found["n_near_duplicates"].astype("Int64").reindex(frame.index),
        conflict=found["conflict"].astype("boolean").reindex(frame.index),
    )
    return done, tally.duplicates(ok)


def pair_kinds(frame: pd.DataFrame, duplicates: NearDuplicates) -> NDArray[np.str_]:
    """What each pair is: ``same bytes``, ``same picture`` (from ``SAME_PICTURE``) or ``near copy``; shape (pairs,)."""
    content = pd.factorize(frame["sha256"])[0]
    same_bytes = content[duplicates.first] == content[duplicates.second]
    return np.select([same_bytes, duplicates.correlation >= SAME_PICTURE], ["same bytes", "same picture"], "near copy")


@dataclass(frozen=True)
class Pictures:
    """Every distinct thumbnail of every label once, numbered in order of first appearance.

    ``of_row`` numbers the picture of each row; ``size`` counts a picture's rows; ``label`` and ``tumor`` are codes.
    ``grey`` are all thumbnails as a uint8 matrix, ``place`` each picture's row in it. ``total`` is Σx and ``spread``
    nΣx² − (Σx)² over the n pixels x, 128 taken off each; both int64.
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
        """Pixels of some pictures less 128, as whole float32: shape (pictures, pixels)."""
        return self.grey[self.place[which]].astype(np.float32) - np.float32(128)


def distinct_pictures(rows: pd.DataFrame, thumbnails: np.ndarray, ok: Array) -> Pictures:
    """Collapse identical thumbnails under one label; ``ok`` holds each row's position in ``thumbnails``."""
    grey = thumbnails.reshape(len(thumbnails), math.prod(thumbnails.shape[1:]))
    looks = [hashlib.sha256(grey[position]).digest() for position in ok]
    of_row = rows.groupby([pd.factorize(np.array(looks, dtype=object))[0], rows["label"]], sort=False).ngroup()
    number, row, size = np.unique(of_row.to_numpy(), return_index=True, return_counts=True)
    total, spread = np.empty(len(number), np.int64), np.empty(len(number), np.int64)
    for part in parts(len(number)):
        shifted = grey[ok[row[part]]].astype(np.int32) - 128
        total[part] = shifted.sum(axis=1)
        spread[part] = grey.shape[1] * (shifted * shifted).sum(axis=1, dtype=np.int64) - total[part] ** 2
    label, tumor = (pd.factorize(rows[column])[0][row] for column in ("label", "tumor"))
    return Pictures(of_row.to_numpy(), size, label, tumor, grey, ok[row], total, spread)


def parts(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def duplicate_pairs(
    pictures: Pictures, progress: ProgressCallback = no_progress
) -> Iterator[tuple[Array, Array, Array]]:
    """Numbers ``first`` < ``second`` of pictures that reach the correlation, and their correlation, tile by tile."""
    sketch = sketches(pictures)
    tiles = [
        (row, column) for row in parts(len(pictures)) for column in parts(len(pictures)) if row.start <= column.start
    ]
    progress("duplicates", 0, len(tiles))
    for done, (row, column) in enumerate(tiles, start=1):
        close = (sketch[row] @ sketch[column].T >= NEAR_DUPLICATE_CORRELATION - SLACK).ravel()
        first, second = np.divmod(np.flatnonzero(close), column.stop - column.start)
        first, second = first + row.start, second + column.start
        ordered = first < second
        first, second = first[ordered], second[ordered]
        correlation = correlations(pictures, first, second)
        duplicate = correlation >= NEAR_DUPLICATE_CORRELATION
        yield first[duplicate], second[duplicate], correlation[duplicate]
        progress("duplicates", done, len(tiles))


def sketches(pictures: Pictures) -> NDArray[np.float32]:
    """Unit vectors (pictures, directions + 1) whose inner products are no less than the pictures' correlations.

    Each picture, centred and of length one, is projected on a few orthonormal directions, the principal ones of a
    sample; the last entry is the length of what is left. By Cauchy and Schwarz ⟨x, y⟩ ≤ ⟨Px, Py⟩ + |x − Px| |y − Py|,
    whatever the directions. A blank picture is left whole: it may be the duplicate of another blank one.
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
    """Some pictures with mean 0 and length 1, a blank one all zeros."""
    pixels = pictures.levels(which).astype(np.float64)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-9)


def correlations(pictures: Pictures, first: Array, second: Array) -> NDArray[np.float32]:
    """Pearson correlation of the pairs; a blank picture has 1 with its equals and 0 with all others."""
    n_pixels = pictures.grey.shape[1]
    covariance = n_pixels * products(pictures, first, second) - pictures.total[first] * pictures.total[second]
    scale = np.sqrt(pictures.spread[first]) * np.sqrt(pictures.spread[second])
    equal = (pictures.total[first] == pictures.total[second]) & (pictures.spread[first] == pictures.spread[second])
    return np.where(scale > 0, covariance / np.where(scale > 0, scale, 1), equal).astype(np.float32)


def products(pictures: Pictures, first: Array, second: Array) -> NDArray[np.int64]:
    """Σxy of the pairs, exact.

    A product is at most 2¹⁴, so every partial sum of 1024 of them is a whole number of at most 2²⁴, which float32
    holds: no order of summation, hence no number of threads, changes a bit.
    """
    rows, row = numbered(first, len(pictures))
    columns, column = numbered(second, len(pictures))
    if len(rows) * len(columns) <= 24 * len(first):  # from this density on all products are cheaper than each
        return all_products(pictures.levels(rows), pictures.levels(columns))[row, column]
    found = [each_product(pictures.levels(first[part]), pictures.levels(second[part])) for part in parts(len(first))]
    return np.concatenate([np.empty(0, np.int64), *found])


def numbered(values: Array, n: int) -> tuple[Array, Array]:
    """The distinct ones of ``values`` below ``n``, rising, and the place of each value among them."""
    present = np.zeros(n, dtype=bool)
    present[values] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[values]


def all_products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.int64]:
    total = np.zeros((len(left), len(right)), np.int64)
    for start in range(0, left.shape[1], 1024):
        total += (left[:, start : start + 1024] @ right[:, start : start + 1024].T).astype(np.int64)
    return total


def each_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.int64]:
    total = np.zeros(len(left), np.int64)
    for start in range(0, left.shape[1], 1024):
        total += np.vecdot(left[:, start : start + 1024], right[:, start : start + 1024]).astype(np.int64)
    return total


class Tally:
    """What the duplicate pairs of pictures add up to, taken in tile by tile so that their number does not matter."""

    def __init__(self, pictures: Pictures) -> None:
        size = pictures.size
        self.pictures = pictures
        self.n_near_duplicates = size - 1
        self.conflict = np.zeros(len(pictures), dtype=bool)
        self.component = np.arange(len(pictures))
        self.n_pairs = int((size * (size - 1) // 2).sum())
        self.kept: list[tuple[Array, Array, Array]] = []
        self.room = MAX_KEPT
        self.rows = np.argsort(pictures.of_row, kind="stable")  # picture by picture
        self.start = np.cumsum(size) - size
        rank = np.arange(len(self.rows)) - np.repeat(self.start, size)
        copy, further = ragged(np.repeat(size, size) - rank - 1, self.room)
        self.keep(copy, copy + 1 + further, np.ones(len(copy), np.float32))

    def add(self, first: Array, second: Array, correlation: Array) -> None:
        """Take in duplicate pairs of pictures, each pair once."""
        size, label, tumor = self.pictures.size, self.pictures.label, self.pictures.tumor
        np.add.at(self.n_near_duplicates, first, size[second])
        np.add.at(self.n_near_duplicates, second, size[first])
        self.n_pairs += int((size[first] * size[second]).sum())
        differ = (correlation >= SAME_PICTURE) & (label[first] != label[second])
        self.conflict[first[differ]] = self.conflict[second[differ]] = True
        same = tumor[first] == tumor[second]
        self.link(first[same], second[same])
        pair, place = ragged(size[first] * size[second], self.room)
        first, second = first[pair], second[pair]
        copies, others = self.start[first] + place // size[second], self.start[second] + place % size[second]
        self.keep(copies, others, correlation[pair])

    def link(self, first: Array, second: Array) -> None:
        """Join the components of pairs of pictures."""
        left, right = self.component[first], self.component[second]
        apart = left != right
        if apart.any():
            joined = connected(np.column_stack([left[apart], right[apart]]), len(self.component))
            self.component = joined[self.component]

    def keep(self, left: Array, right: Array, correlation: Array) -> None:
        """Keep pairs of rows, given by their places in ``rows``."""
        one, other = self.rows[left].astype(np.int32), self.rows[right].astype(np.int32)
        self.kept.append((np.minimum(one, other), np.maximum(one, other), correlation))
        self.room -= len(correlation)

    def duplicates(self, positions: Array) -> NearDuplicates:
        """The pairs kept; ``positions`` says where the rows stand in the frame, in rising order."""
        first, second, correlation = (np.concatenate(column) for column in zip(*self.kept, strict=True))
        self.kept.clear()
        order = np.argsort(first.astype(np.int64) << 32 | second)
        first, second = positions.astype(np.int32)[first[order]], positions.astype(np.int32)[second[order]]
        return NearDuplicates(first, second, correlation[order], self.n_pairs <= MAX_KEPT)


def ragged(lengths: Array, room: int) -> tuple[Array, Array]:
    """Which range, and where in it, for each element of consecutive ranges of these lengths: the first ``room``."""
    ends = np.minimum(np.cumsum(lengths), room)
    lengths = np.diff(ends, prepend=0)
    which = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return which, np.arange(len(which)) - np.repeat(ends - lengths, lengths)


def perceptual_links(pictures: Pictures) -> tuple[Array, Array]:
    """Links between pictures of one tumor type whose perceptual hashes are at most two bits apart."""
    n_pixels = pictures.grey.shape[1]
    clear = np.flatnonzero(pictures.spread >= (MIN_CONTRAST * n_pixels) ** 2)
    hashed = [perceptual_hashes(pictures.grey[pictures.place[clear[part]]]) for part in parts(len(clear))]
    hashes = np.concatenate([np.empty(0, np.uint64), *hashed])
    links = [np.empty((0, 2), np.intp)]
    for members in pd.Series(clear).groupby(pictures.tumor[clear]).indices.values():
        links.append(clear[members[hash_links(hashes[members])]])
    first, second = np.concatenate(links).T
    return first, second


def series_links(rows: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Neighbours in time within a tumor type."""
    times = rows["path"].str.rsplit("/", n=1).str[-1].map(name_time)
    stamped = pd.DataFrame({"tumor": rows["tumor"], "time": times})[times.notna()]
    for _, series in stamped.sort_values("time", kind="stable").groupby("tumor"):
        positions, seconds = series.index.to_numpy(), series["time"].to_numpy(np.float64)
        near = np.diff(seconds) <= RUN_SECONDS
        yield from zip(positions[:-1][near], positions[1:][near], strict=True)


def name_time(name: str) -> float | None:
    """Seconds since 1970 of the time stamp in a file name, taken as UTC."""
    found = TIMESTAMP.search(name)
    if not found:
        return None
    try:
        return datetime.strptime(found[1] + "+0000", "%Y-%m-%d %H_%M_%S%z").timestamp()
    except ValueError:
        return None


def chain(rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Links (n, 2) from each row to the next that agrees with it in ``columns``."""
    following = pd.Series(rows.index, rows.index).groupby([rows[column] for column in columns]).shift(-1)
    linked = following.dropna()
    return np.column_stack([linked.index, linked.astype(np.intp)])


def connected(links: np.ndarray, n: int) -> np.ndarray:
    """Component number of each of ``n`` rows, numbered in order of first appearance."""
    ones = np.ones(len(links), dtype=bool)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(n, n))
    return pd.factorize(connected_components(graph, directed=False)[1])[0]


def labels_differ(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Whether rows that agree in ``column`` stand under more than one label."""
    return (rows.groupby(column)["label"].transform("nunique") > 1).to_numpy()
