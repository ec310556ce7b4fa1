"""Compare all images with each other: near duplicates, conflicts, agreement curves and groups."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.data.agreement import EDGES, PIXELS, Agreement, Similarity, limit_false_links, thresholds_of
from mri_model.data.augmented_names import augmented_links
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION, NearDuplicates, PairTotals
from mri_model.data.pictures import Array, Pictures, distinct_pictures
from mri_model.data.same_source import (
    TURNED_EDGES,
    Components,
    SimilarityLinks,
    group_numbers,
    n_groups,
    perceptual_links,
    turned_copies,
)
from mri_model.data.similarity import HogVectors, PixelVectors, n_tiles, similar_pairs, similarities
from mri_model.progress import ProgressCallback, no_progress, with_progress


@dataclass(frozen=True)
class Comparison:
    """Result of ``compare_images``.

    Attributes:
        frame: The inventory's rows with more columns, which are null for rejected files: ``group``,
            ``n_near_duplicates`` (of any tumor type), ``conflict`` (whether the same picture has two labels: the same
            bytes, or a correlation of at least ``SAME_PICTURE``), ``turned_family`` and ``augmented_family``.
        near_duplicates: The pairs of near duplicates.
        agreements: The agreement curves of pixels and of edges.
    """

    frame: pd.DataFrame
    near_duplicates: NearDuplicates
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True)
class Sources:
    """Which of the accepted images belong together.

    Attributes:
        agreements: The agreement curves with their thresholds.
        group: Number of each image's group, int64 of shape (n,).
        turned_family: A number that mirrored and turned copies of one picture share, Int64 of shape (n,); null for
            images without such a copy. Images that are near duplicates as they stand do not count: heads are nearly
            symmetric.
        augmented_family: Likewise for files that are named as augmented copies and agree with their original.
    """

    agreements: tuple[Agreement, ...]
    group: Array
    turned_family: pd.arrays.IntegerArray
    augmented_family: pd.arrays.IntegerArray


def compare_images(
    frame: pd.DataFrame, fingerprints: Fingerprints, progress: ProgressCallback = no_progress
) -> Comparison:
    """Find near duplicates, measure the agreement curves and group the images that belong together.

    Similarities are computed from integers and rounded once, to float32, before they are compared. The result does not
    depend on the processor or the number of threads. Groups and counts are exact even if not all pairs are returned.

    Args:
        frame: Rows of an inventory.
        fingerprints: Those of all rows.
        progress: Called with the stage ``compare``.
    """
    ok = np.flatnonzero(frame["status"] == "ok")
    rows = frame.iloc[ok].reset_index(drop=True)
    pictures = distinct_pictures(rows, fingerprints, ok)
    vectors: dict[Similarity, PixelVectors | HogVectors] = {
        PIXELS: (pixels := PixelVectors.of(pictures.grey)),
        EDGES: (edges := HogVectors.of(pictures.descriptors)),
    }
    totals = PairTotals(pictures)
    links = {similarity.name: SimilarityLinks(similarity, pictures) for similarity in vectors}
    tiles = ((kind, pairs) for kind, each in vectors.items() for pairs in similar_pairs(each, kind.start))
    for kind, pairs in with_progress(tiles, len(vectors) * n_tiles(len(pictures)), "compare", progress):
        links[kind.name].add(*pairs)
        if kind is PIXELS:
            totals.add(*pairs)
    sources = join_sources(rows, pictures, pixels, edges, links)
    columns = {
        "group": pd.array(sources.group, "Int64"),
        "n_near_duplicates": pd.array(totals.n_near_duplicates[pictures.of_row], "Int64"),
        "conflict": pd.array(totals.conflict[pictures.of_row] | labels_differ(rows, "sha256"), "boolean"),
        "turned_family": sources.turned_family,
        "augmented_family": sources.augmented_family,
    }
    found = pd.DataFrame(columns, index=frame.index[ok]).reindex(frame.index)
    compared = frame.assign(**{name: found[name] for name in columns})
    return Comparison(compared, totals.duplicates(ok), sources.agreements)


def join_sources(
    rows: pd.DataFrame, pictures: Pictures, pixels: PixelVectors, edges: HogVectors, links: dict[str, SimilarityLinks]
) -> Sources:
    """Choose the thresholds, and link the images by everything that says they are of one source."""
    hashes, copies, turned = (Components(len(pictures)) for _ in range(3))
    hashes.add(*perceptual_links(pictures, pixels, edges))
    measured = [found.agreement() for found in links.values()]
    agreements = limit_false_links(measured, lambda chosen: n_groups(links, chosen, [hashes.join()]))
    thresholds = thresholds_of(agreements)
    for first, second in turned_copies(pixels, edges, thresholds, pictures.tumor):
        copies.add(first, second)
        only_turned = similarities(pixels, first, pixels, second) < NEAR_DUPLICATE_CORRELATION
        only_turned &= similarities(edges, first, edges, second) < TURNED_EDGES
        turned.add(first[only_turned], second[only_turned])
    augmented = Components(len(rows))
    augmented.add(*augmented_links(rows, pictures.of_row, pixels, edges, thresholds))
    similar = [each for name, threshold in thresholds.items() for each in links[name].numbers(threshold)]
    of_pictures = [hashes.join(), copies.join(), *similar]
    return Sources(
        agreements=tuple(agreements),
        group=group_numbers(rows, [augmented.join(), *(each[pictures.of_row] for each in of_pictures)]),
        turned_family=families(turned.join())[pictures.of_row],
        augmented_family=families(augmented.join()),
    )


def families(numbers: Array) -> pd.arrays.IntegerArray:
    """Component numbers as Int64, null where nothing else is in the component."""
    return pd.arrays.IntegerArray(numbers.astype(np.int64), np.bincount(numbers)[numbers] == 1)


def labels_differ(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Whether the rows with the same value in ``column`` have more than one label: bool of shape (rows,)."""
    return (rows.groupby(column)["label"].transform("nunique") > 1).to_numpy()
