"""Groups: images that probably come from one examination or one patient, and must stay in one split.

Images of one tumor type are linked by similar pixels or similar edges, by thresholds that the data set itself gives
(``data.agreement``), by mirrored or turned copies, by augmented copies beside their originals
(``data.augmented_names``), by almost equal perceptual hashes, by the same bytes, and by series of time-stamped file
names. Images of one patient are linked over all tumor types where it is certain who that is (``data.patients``), else
within one. A group is a connected component.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mri_model.data import hog
from mri_model.data.agreement import EDGES, PIXELS, Agreement, Similarity
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION
from mri_model.data.patients import certain_patients, optional_column
from mri_model.data.phash import hash_links, perceptual_hashes
from mri_model.data.pictures import Array, Pictures
from mri_model.data.similarity import (
    HogVectors,
    PixelVectors,
    Turn,
    Vectors,
    mean_descriptor,
    parts,
    similar_pairs,
    similarities,
    turns,
)
from mri_model.data.thumbnails import THUMBNAIL_SIZE

MIN_CONTRAST = 4
"""Pictures with a lower standard deviation of grey values are not compared by perceptual hash: it would be noise."""

RUN_SECONDS = 60
"""Time-stamped files of one tumor type belong to one series if at most this many seconds lie between them."""

TURNED_EDGES = 0.87
"""Edges of a mirrored copy must be at least this similar. Below, those of two patients often are."""

CONFIRMING_EDGES = 0.5
"""Edges of two images with almost equal perceptual hashes must be at least this similar."""

LINKS_KEPT = 1 << 20
"""Links are joined when this many have been collected."""

TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d_\d\d_\d\d)")


class Components:
    """Connected components of the pictures under links that arrive in parts.

    Attributes:
        number: Number of each picture's component, up to date after ``join``.
    """

    def __init__(self, n: int) -> None:
        self.number = np.arange(n)
        self.links: list[Array] = []
        self.n_links = 0

    def add(self, first: Array, second: Array) -> None:
        """Link pairs of pictures."""
        self.links.append(np.column_stack([first, second]))
        self.n_links += len(first)
        if self.n_links >= LINKS_KEPT:
            self.join()

    def join(self) -> Array:
        """Apply the collected links. Returns ``number``."""
        if self.n_links:
            self.number = connected(self.number[np.concatenate(self.links)], len(self.number))[self.number]
        self.links.clear()
        self.n_links = 0
        return self.number


class SimilarityLinks:
    """Agreement curve of a similarity, and the links that each of its possible thresholds adds."""

    def __init__(self, similarity: Similarity, pictures: Pictures) -> None:
        self.similarity = similarity
        self.tumor = pictures.tumor
        self.pairs = np.zeros(similarity.n_bins, np.int64)
        self.agreeing = np.zeros(similarity.n_bins, np.int64)
        floor = int(similarity.bins(np.float64(similarity.floor)))
        self.components = {number: Components(len(pictures)) for number in range(floor, similarity.n_bins)}

    def add(self, first: Array, second: Array, similarity: Array) -> None:
        """Add all pairs of a tile. Each pair must be added once."""
        number = self.similarity.bins(similarity)
        same = self.tumor[first] == self.tumor[second]
        self.pairs += np.bincount(number, minlength=len(self.pairs))
        self.agreeing += np.bincount(number[same], minlength=len(self.pairs))
        first, second, number = first[same], second[same], number[same]
        for each in np.unique(number):
            if each in self.components:
                chosen = number == each
                self.components[each].add(first[chosen], second[chosen])

    def agreement(self) -> Agreement:
        return Agreement.of(self.similarity, self.pairs, self.agreeing, self.tumor)

    def numbers(self, threshold: float | None) -> list[Array]:
        """Component numbers of the pictures under the links of each bin from ``threshold`` up."""
        if threshold is None:
            return []
        lowest = int(self.similarity.bins(np.float64(threshold)))
        return [components.join() for number, components in self.components.items() if number >= lowest]


PIXEL_TURNS = turns(THUMBNAIL_SIZE)
"""A pair is compared in one order only; each turn's inverse is here."""


def turned_copies(
    pixels: Vectors, edges: Vectors, thresholds: dict[str, float | None], tumor: Array
) -> Iterator[tuple[Array, Array]]:
    """Links between pictures of one tumor type of which one is a mirrored or turned copy of the other.

    Args:
        thresholds: By name of the similarity. A copy must be as similar as a near duplicate, and at least this similar.
        tumor: Code of the tumor type of each picture.
    """
    kinds: list[tuple[Vectors, Sequence[Turn], float | None, float]] = [
        (pixels, PIXEL_TURNS, thresholds[PIXELS.name], NEAR_DUPLICATE_CORRELATION),
        (edges, (hog.MIRRORED,), thresholds[EDGES.name], TURNED_EDGES),
    ]
    for vectors, changes, threshold, least in kinds:
        if threshold is None:
            continue
        for turn in changes:
            other = vectors.turned(turn)
            for members in members_of(tumor):
                for first, second, _ in similar_pairs(vectors, max(threshold, least), members, other):
                    yield first, second


def members_of(codes: Array) -> list[Array]:
    """Positions of each code, in rising order."""
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def group_numbers(rows: pd.DataFrame, components: list[Array]) -> Array:
    """The group of each accepted image, int64 of shape (rows,).

    Args:
        rows: The accepted images, indexed 0…n-1.
        components: For each kind of link, the number of the set of linked images that each image belongs to.
    """
    links = [chain(rows, [rows["tumor"], rows["sha256"]]), *patient_links(rows)]
    links.append(np.array(list(series_links(rows)), dtype=np.intp).reshape(-1, 2))
    return connected(np.concatenate([*links, *map(component_links, components)]), len(rows))


def patient_links(rows: pd.DataFrame) -> Iterator[Array]:
    """Links between the images of one patient, shape (links, 2) each.

    A name of a patient that is not certain counts within one tumor type only: such names may start again in the next.
    """
    yield chain(rows, [rows["tumor"], rows["patient"]])
    yield chain(rows, [rows["tumor"], optional_column(rows, "patient_folder")])
    yield chain(rows, [certain_patients(rows)])


def n_groups(links: dict[str, SimilarityLinks], agreements: Sequence[Agreement], others: list[Array]) -> int:
    """Number of groups of pictures under the thresholds of ``agreements`` and ``others``, more component numbers."""
    components = [*others, *(each for found in agreements for each in links[found.similarity].numbers(found.threshold))]
    joined = connected(np.concatenate(list(map(component_links, components))), len(others[0]))
    return int(joined.max(initial=-1)) + 1


def perceptual_links(pictures: Pictures, pixels: PixelVectors, edges: Vectors) -> tuple[Array, Array]:
    """Links between pictures of one tumor type whose perceptual hashes differ in at most two bits.

    Hashes of two patients' slices may be equal, so the edges must confirm each link.

    Returns:
        Numbers of the first and of the second picture of each link.
    """
    clear = np.flatnonzero(pixels.spread >= (MIN_CONTRAST * pictures.grey.shape[1]) ** 2)
    hashed = [perceptual_hashes(pictures.grey[clear[part]]) for part in parts(len(clear))]
    hashes = np.concatenate([np.empty(0, np.uint64), *hashed])
    links = [np.empty((0, 2), np.intp)]
    for members in members_of(pictures.tumor[clear]):
        links.append(clear[members[hash_links(hashes[members])]])
    first, second = np.concatenate(links).T
    confirmed = similarities(edges, first, edges, second) >= CONFIRMING_EDGES
    return first[confirmed], second[confirmed]


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


def component_links(numbers: Array) -> Array:
    """Links from every image to the first one with the same component number, which counts from 0: shape (n, 2)."""
    first = np.unique(numbers, return_index=True)[1]
    return np.column_stack([np.arange(len(numbers)), first[numbers]])


def chain(rows: pd.DataFrame, values: list[pd.Series]) -> np.ndarray:
    """Links from each row to the next row with the same ``values``, none of them null: shape (links, 2)."""
    following = pd.Series(rows.index, rows.index).groupby(values).shift(-1)
    linked = following.dropna()
    return np.column_stack([linked.index, linked.astype(np.intp)])


def connected(links: np.ndarray, n: int) -> np.ndarray:
    """Number of the connected component of each of ``n`` rows, in order of first appearance."""
    ones = np.ones(len(links), dtype=bool)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(n, n))
    return pd.factorize(connected_components(graph, directed=False)[1])[0]


def sources_of(descriptors: Array, mean: Array, threshold: float) -> Array:
    """The source of each image, int64 of shape (n,), where its tumor type is not known: by edges alone.

    Half of what the images have in common with the training images, and half of what they have in common with each
    other, is taken off: slices of one examination stay together, and a homogeneous set of other examinations does not
    become one source (``docs/results.md``, section on drift).

    Args:
        descriptors: HOG descriptors, uint8 of shape (n, 1296).
        mean: That of the training data, see ``similarity.mean_descriptor``.
        threshold: Similarity from which two images are linked.
    """
    vectors = HogVectors.of(descriptors, (mean + mean_descriptor(descriptors)) // 2)
    components = Components(len(descriptors))
    for first, second, _ in similar_pairs(vectors, threshold):
        components.add(first, second)
    return components.join()
