"""Compare all images with each other: near duplicates, conflicts, agreement curves and groups."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.data.agreement import EDGES, PIXELS, Agreement, limit_false_links, thresholds_of
from mri_model.data.augmented_names import augmented_links
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.near_duplicates import NearDuplicates, PairTotals
from mri_model.data.pictures import Array, Pictures, distinct_pictures
from mri_model.data.same_source import (
    Components,
    SimilarityLinks,
    group_numbers,
    n_groups,
    perceptual_links,
    turned_copies,
)
from mri_model.data.similarity import HogVectors, PixelVectors, n_tiles, similar_pairs
from mri_model.progress import ProgressCallback, no_progress


@dataclass(frozen=True)
class Comparison:
    """Result of ``compare_images``.

    Attributes:
        frame: The inventory's rows with three more columns, which are null for rejected files: ``group``,
            ``n_near_duplicates`` (of any tumor type) and ``conflict`` (whether the same picture has two labels: the
            same bytes, or a correlation of at least ``SAME_PICTURE``).
        near_duplicates: The pairs of near duplicates.
        agreements: The agreement curves of pixels and of edges.
    """

    frame: pd.DataFrame
    near_duplicates: NearDuplicates
    agreements: tuple[Agreement, ...]


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
    pixels, edges = PixelVectors.of(pictures.grey), HogVectors.of(pictures.descriptors)
    totals = PairTotals(pictures)
    links = {similarity.name: SimilarityLinks(similarity, pictures) for similarity in (PIXELS, EDGES)}
    steps = Steps(2 * n_tiles(len(pictures)), progress)
    for pairs in similar_pairs(pixels, PIXELS.start):
        totals.add(*pairs)
        links[PIXELS.name].add(*pairs)
        steps.advance()
    for pairs in similar_pairs(edges, EDGES.start):
        links[EDGES.name].add(*pairs)
        steps.advance()
    agreements, components = join_sources(pictures, pixels, edges, links)
    augmented = Components(len(rows))
    augmented.add(*augmented_links(rows, pictures.of_row, pixels, edges, thresholds_of(agreements)))
    components = [augmented.join(), *(each[pictures.of_row] for each in components)]
    columns = {
        "group": pd.array(group_numbers(rows, components), "Int64"),
        "n_near_duplicates": pd.array(totals.n_near_duplicates[pictures.of_row], "Int64"),
        "conflict": pd.array(totals.conflict[pictures.of_row] | labels_differ(rows, "sha256"), "boolean"),
    }
    found = pd.DataFrame(columns, index=frame.index[ok]).reindex(frame.index)
    compared = frame.assign(**{name: found[name] for name in columns})
    return Comparison(compared, totals.duplicates(ok), tuple(agreements))


def join_sources(
    pictures: Pictures, pixels: PixelVectors, edges: HogVectors, links: dict[str, SimilarityLinks]
) -> tuple[list[Agreement], list[Array]]:
    """The agreement curves with their thresholds, and the component numbers of the pictures for each kind of link."""
    hashes = Components(len(pictures))
    hashes.add(*perceptual_links(pictures, pixels, edges))
    others = [hashes.join()]
    measured = [found.agreement() for found in links.values()]
    agreements = limit_false_links(measured, lambda chosen: n_groups(links, chosen, others))
    thresholds = thresholds_of(agreements)
    copies = Components(len(pictures))
    for pair in turned_copies(pixels, edges, thresholds, pictures.tumor):
        copies.add(*pair)
    similar = [each for name, threshold in thresholds.items() for each in links[name].numbers(threshold)]
    return agreements, [*others, copies.join(), *similar]


class Steps:
    """Progress of the comparison: one step for each tile."""

    def __init__(self, total: int, progress: ProgressCallback) -> None:
        self.done, self.total, self.progress = 0, total, progress
        progress("compare", 0, total)

    def advance(self) -> None:
        self.done += 1
        self.progress("compare", self.done, self.total)


def labels_differ(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Whether the rows with the same value in ``column`` have more than one label: bool of shape (rows,)."""
    return (rows.groupby(column)["label"].transform("nunique") > 1).to_numpy()
