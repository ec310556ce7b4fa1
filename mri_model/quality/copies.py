"""Check: mirrored, turned and augmented copies of other images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from mri_model.data.agreement import thresholds_of
from mri_model.data.augmented_names import augmented_links
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION
from mri_model.data.pictures import Array, distinct_pictures
from mri_model.data.same_source import TURNED_EDGES, connected, turned_copies
from mri_model.data.similarity import HogVectors, PixelVectors, similarities
from mri_model.data.splits import PROTOCOLS
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet, Mask
from mri_model.quality.leakage import ImageShare, image_share
from mri_model.quality.wording import many, percent


@dataclass(frozen=True)
class Found:
    """Copies of one kind.

    Attributes:
        n: Number of images that are such a copy of another image, or its original.
        in_train: Test images whose original, or another copy of it, is in training, per protocol.
    """

    n: int
    in_train: dict[str, ImageShare]


@dataclass(frozen=True)
class Copies(Check):
    """Images of one tumor type that were made from each other.

    Attributes:
        turned: Mirrored copies and copies turned by right angles. Images that are near duplicates as they stand do not
            count: heads are nearly symmetric.
        augmented: Files that are named as augmented copies of another file, and agree with it.
    """

    turned: Found
    augmented: Found

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        accepted = np.flatnonzero(data.accepted)
        rows = data.frame.iloc[accepted].reset_index(drop=True)
        pictures = distinct_pictures(rows, data.fingerprints, accepted)
        pixels, edges = PixelVectors.of(pictures.grey), HogVectors.of(pictures.descriptors)
        thresholds = thresholds_of(data.agreements)
        turned = Turned(data, accepted, pictures.of_row, len(pictures))
        for first, second in turned_copies(pixels, edges, thresholds, pictures.tumor):
            upright = similarities(pixels, first, pixels, second) < NEAR_DUPLICATE_CORRELATION
            upright &= similarities(edges, first, edges, second) < TURNED_EDGES
            turned.add(first[upright], second[upright])
        links = np.column_stack(augmented_links(rows, pictures.of_row, pixels, edges, thresholds))
        return cls(turned.found(), augmented_copies(data, accepted, links))

    def issues(self) -> Iterator[Issue]:
        if self.augmented.n:
            yield augmented_issue(self.augmented)
        if self.turned.n:
            yield turned_issue(self.turned)


class Turned:
    """Counts the images with a mirrored or turned copy, pair by pair, so that memory stays bounded."""

    def __init__(self, data: DataSet, accepted: Array, of_row: Array, n: int) -> None:
        self.data, self.accepted, self.of_row = data, accepted, of_row
        self.copied = np.zeros(n, dtype=bool)
        self.trained = {protocol: self.pictures(data.in_split(protocol, "train"), n) for protocol in PROTOCOLS}
        self.known = {protocol: np.zeros(n, dtype=bool) for protocol in PROTOCOLS}

    def pictures(self, chosen: Mask, n: int) -> Mask:
        """Which pictures are those of a ``chosen`` row."""
        return np.bincount(self.of_row, chosen[self.accepted], n) > 0

    def add(self, first: Array, second: Array) -> None:
        for one, other in ((first, second), (second, first)):
            self.copied[one] = True
            for protocol, trained in self.trained.items():
                self.known[protocol][one[trained[other]]] = True

    def found(self) -> Found:
        in_train = {}
        for protocol, known in self.known.items():
            test = self.data.in_split(protocol, "test")[self.accepted]
            in_train[protocol] = image_share(int((test & known[self.of_row]).sum()), int(test.sum()))
        return Found(int(self.copied[self.of_row].sum()), in_train)


def augmented_copies(data: DataSet, accepted: Array, links: Array) -> Found:
    """Count augmented copies and their originals.

    Args:
        data: The data set.
        accepted: Positions of the accepted rows.
        links: Positions in ``accepted`` of two files of one original, shape (links, 2).
    """
    family = connected(links, len(accepted))
    in_train = {}
    for protocol in PROTOCOLS:
        train, test = (data.in_split(protocol, split)[accepted] for split in ("train", "test"))
        linked = np.isin(np.arange(len(accepted)), links)
        known = test & linked & np.isin(family, family[train])
        in_train[protocol] = image_share(int(known.sum()), int(test.sum()))
    return Found(len(np.unique(links)), in_train)


def augmented_issue(found: Found) -> Issue:
    told = ", ".join(f"{percent(each.share or 0)} ({name} split)" for name, each in found.in_train.items())
    return Issue(
        "serious",
        f"The data set holds augmented copies beside their originals: {many(found.n, 'file')} by name and picture. "
        f"Test images whose original, or another copy of it, is in training: {told}.",
        "An augmented copy is an altered version of an image that is already there. It is no new patient, and a "
        "network that has seen the original knows it.",
        "Remove the augmented copies and train on the originals: training makes its own copies. Until then use the "
        "grouped split.",
    )


def turned_issue(found: Found) -> Issue:
    told = ", ".join(f"{each.n} ({name} split)" for name, each in found.in_train.items())
    return Issue(
        "notice",
        f"{many(found.n, 'image', 'has', 'have')} a mirrored or turned copy. Test images with such a copy in training: "
        f"{told}.",
        "A mirrored or turned copy is the same image again, and a network that is trained with mirror images knows it.",
        "Keep one of each. The grouped split keeps them together.",
    )
