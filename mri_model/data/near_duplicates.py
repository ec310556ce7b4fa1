"""Near duplicates, and the groups of images that must stay in one split."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mri_model.data.correlation import Array, Pictures, distinct_pictures, duplicate_pairs, parts
from mri_model.data.phash import hash_links, perceptual_hashes
from mri_model.progress import ProgressCallback, no_progress

NEAR_DUPLICATE_CORRELATION = 0.95
"""Two images are near duplicates from this Pearson correlation of their 64×64 grey thumbnails."""

SAME_PICTURE = 0.999
"""Two files are the same picture, encoded twice, from this correlation.

Measured on the published data set: different pictures under two labels reach at most 0.9914, re-encoded copies exceed
0.999."""

MIN_CONTRAST = 4
"""Pictures with a lower standard deviation of grey values are not compared by perceptual hash: it would be noise."""

RUN_SECONDS = 60
"""Time-stamped files of one tumor type belong to one series if at most this many seconds lie between them."""

MAX_KEPT = 8_000_000
"""Maximum number of pairs that are returned, at 12 bytes each."""

PAIR_KINDS = ("same bytes", "same picture", "near duplicate")

TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d_\d\d_\d\d)")


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


def find_near_duplicates(
    frame: pd.DataFrame, thumbnails: np.ndarray, progress: ProgressCallback = no_progress
) -> tuple[pd.DataFrame, NearDuplicates]:
    """Find near duplicates and group the images that belong together.

    Images of one tumor type share a group if a chain of these links connects them: the same bytes, a correlation of at
    least ``NEAR_DUPLICATE_CORRELATION``, perceptual hashes that differ in at most two bits, or file names with times of
    one series.

    Correlations are computed from integers and rounded once, to float32, before they are compared. The result does not
    depend on the processor or the number of threads. Groups and counts are exact even if not all pairs are returned.

    Args:
        frame: Rows of an inventory.
        thumbnails: uint8 of shape (rows, 64, 64).
        progress: Called with the stage ``compare``.

    Returns:
        The frame with three more columns, which are null for rejected files, and the pairs of near duplicates. The
        columns are ``group``, ``n_near_duplicates`` (the number of near duplicates of any tumor type) and ``conflict``
        (whether the same picture has two labels: the same bytes, or a correlation of at least ``SAME_PICTURE``).
    """
    ok = np.flatnonzero(frame["status"] == "ok")
    rows = frame.iloc[ok].reset_index(drop=True)
    pictures = distinct_pictures(rows, thumbnails, ok)
    totals = PairTotals(pictures)
    for pairs in duplicate_pairs(pictures, NEAR_DUPLICATE_CORRELATION, progress):
        totals.add(*pairs)
    totals.link(*perceptual_links(pictures))
    component = pd.Series(totals.component[pictures.of_row])
    columns = {
        "group": pd.array(group_numbers(rows, component), "Int64"),
        "n_near_duplicates": pd.array(totals.n_near_duplicates[pictures.of_row], "Int64"),
        "conflict": pd.array(totals.conflict[pictures.of_row] | labels_differ(rows, "sha256"), "boolean"),
    }
    found = pd.DataFrame(columns, index=frame.index[ok]).reindex(frame.index)
    return frame.assign(**{name: found[name] for name in columns}), totals.duplicates(ok)


def group_numbers(rows: pd.DataFrame, component: pd.Series) -> Array:
    """The group of each accepted image, int64 of shape (rows,).

    Args:
        rows: The accepted images.
        component: Number of the set of linked pictures that each image belongs to.
    """
    series = np.array(list(series_links(rows)), dtype=np.intp).reshape(-1, 2)
    links = [chain(rows.assign(component=component), ["component"]), chain(rows, ["tumor", "sha256"]), series]
    links.append(chain(rows, ["tumor", "patient"]))
    return connected(np.concatenate(links), len(rows))


def pair_kinds(frame: pd.DataFrame, duplicates: NearDuplicates) -> NDArray[np.str_]:
    """The kind of each pair, one of ``PAIR_KINDS``: str of shape (pairs,).

    ``same picture`` means other bytes and a correlation of at least ``SAME_PICTURE``.
    """
    content = pd.factorize(frame["sha256"])[0]
    same_bytes = content[duplicates.first] == content[duplicates.second]
    return np.select([same_bytes, duplicates.correlation >= SAME_PICTURE], PAIR_KINDS[:2], PAIR_KINDS[2])


class PairTotals:
    """Counts, conflicts, components and kept pairs, updated tile by tile so that memory stays bounded.

    Attributes:
        n_near_duplicates: Number of near duplicates of each picture's images.
        conflict: Whether each picture has two labels.
        component: Number of the set of linked pictures that each picture belongs to.
        n_pairs: Number of pairs of images so far.
    """

    def __init__(self, pictures: Pictures) -> None:
        size = pictures.size
        self.pictures = pictures
        self.n_near_duplicates = size - 1
        self.conflict = np.zeros(len(pictures), dtype=bool)
        self.component = np.arange(len(pictures))
        self.n_pairs = int((size * (size - 1) // 2).sum())
        self.kept: list[tuple[Array, Array, Array]] = []
        self.capacity = MAX_KEPT
        self.rows = np.argsort(pictures.of_row, kind="stable")  # sorted by picture
        self.start = np.cumsum(size) - size
        rank = np.arange(len(self.rows)) - np.repeat(self.start, size)
        copy, further = ragged(np.repeat(size, size) - rank - 1, self.capacity)
        self.keep(copy, copy + 1 + further, np.ones(len(copy), np.float32))

    def add(self, first: Array, second: Array, correlation: Array) -> None:
        """Add pairs of pictures that are near duplicates. Each pair must be added once."""
        size, label, tumor = self.pictures.size, self.pictures.label, self.pictures.tumor
        np.add.at(self.n_near_duplicates, first, size[second])
        np.add.at(self.n_near_duplicates, second, size[first])
        self.n_pairs += int((size[first] * size[second]).sum())
        differ = (correlation >= SAME_PICTURE) & (label[first] != label[second])
        self.conflict[first[differ]] = self.conflict[second[differ]] = True
        same = tumor[first] == tumor[second]
        self.link(first[same], second[same])
        pair, place = ragged(size[first] * size[second], self.capacity)
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


def perceptual_links(pictures: Pictures) -> tuple[Array, Array]:
    """Links between pictures of one tumor type whose perceptual hashes differ in at most two bits.

    Returns:
        Numbers of the first and of the second picture of each link.
    """
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
    """Pairs of rows of one tumor type that follow each other within ``RUN_SECONDS``, by the times in file names."""
    times = rows["path"].str.rsplit("/", n=1).str[-1].map(name_time)
    stamped = pd.DataFrame({"tumor": rows["tumor"], "time": times})[times.notna()]
    for _, series in stamped.sort_values("time", kind="stable").groupby("tumor"):
        positions, seconds = series.index.to_numpy(), series["time"].to_numpy(np.float64)
        near = np.diff(seconds) <= RUN_SECONDS
        yield from zip(positions[:-1][near], positions[1:][near], strict=True)


def name_time(name: str) -> float | None:
    """The time stamp in a file name, as UTC in seconds since 1970; None if there is no valid one."""
    found = TIMESTAMP.search(name)
    if not found:
        return None
    try:
        return datetime.strptime(found[1] + "+0000", "%Y-%m-%d %H_%M_%S%z").timestamp()
    except ValueError:
        return None


def chain(rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Links from each row to the next row with the same values in ``columns``: shape (links, 2)."""
    following = pd.Series(rows.index, rows.index).groupby([rows[column] for column in columns]).shift(-1)
    linked = following.dropna()
    return np.column_stack([linked.index, linked.astype(np.intp)])


def connected(links: np.ndarray, n: int) -> np.ndarray:
    """Number of the connected component of each of ``n`` rows, in order of first appearance."""
    ones = np.ones(len(links), dtype=bool)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(n, n))
    return pd.factorize(connected_components(graph, directed=False)[1])[0]


def labels_differ(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Whether the rows with the same value in ``column`` have more than one label: bool of shape (rows,)."""
    return (rows.groupby(column)["label"].transform("nunique") > 1).to_numpy()
