"""The input of the checks: a data set's table, its fingerprints, near duplicates and agreement curves."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri_model.data.agreement import Agreement
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.near_duplicates import NearDuplicates, content_numbers, duplicate_free
from mri_model.quality.measures import digests, numbered

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
"""The splits in order, with the names that people read."""

PARTS = {
    "near_duplicate": "a near duplicate in training",
    "same_source": "no near duplicate, but another image of their source in training",
    "free": "neither in training",
}
"""The parts of a test split, with the words that people read after "test images with"."""

Mask = NDArray[np.bool_]
"""One bool per row of the frame."""


@dataclass(frozen=True)
class DataSet:
    """A data set as the checks see it.

    Attributes:
        frame: One row per file, indexed 0…n-1, with the columns of ``manifest.SCHEMA``; ``pixel_crc32`` may be absent.
        fingerprints: Those of all rows.
        duplicates: The pairs of near duplicates, as positions in ``frame``.
        agreements: The agreement curves with the thresholds of same-source linking.
    """

    frame: pd.DataFrame
    fingerprints: Fingerprints
    duplicates: NearDuplicates
    agreements: tuple[Agreement, ...]

    @property
    def thumbnails(self) -> np.ndarray:
        """uint8 of shape (rows of ``frame``, 64, 64)."""
        return self.fingerprints.thumbnails

    @cached_property
    def accepted(self) -> Mask:
        return (self.frame["status"] == "ok").to_numpy(bool)

    @cached_property
    def conflict(self) -> Mask:
        return self.frame["conflict"].fillna(False).to_numpy(bool)

    @cached_property
    def file_numbers(self) -> np.ndarray:
        """int (rows,): equal where the bytes are equal and, of a file with several slices, the slice."""
        return content_numbers(self.frame)

    @cached_property
    def pixel_numbers(self) -> np.ndarray | None:
        """int (rows,): equal where the decoded grey pixels are equal; None if the frame has no ``pixel_crc32``.

        A checksum of 32 bits collides once in 100,000 images, so size and thumbnail must be equal as well.
        """
        if "pixel_crc32" not in self.frame:
            return None
        unknown = pd.Series([f"row {row}" for row in range(len(self.frame))], self.frame.index, dtype=object)
        checksum = self.frame["pixel_crc32"].astype(object).where(self.frame["pixel_crc32"].notna(), unknown)
        return numbered(checksum, self.frame["height"], self.frame["width"], digests(self.thumbnails))

    def accepted_rows(self) -> pd.DataFrame:
        return self.frame[self.accepted]

    def in_split(self, protocol: str, split: str) -> Mask:
        return (self.frame[f"split_{protocol}"] == split).to_numpy(dtype=bool, na_value=False)

    def near_duplicate_in(self, chosen: Mask) -> Mask:
        """Which rows have a near duplicate, or a file of the same bytes, among the ``chosen`` rows."""
        found = np.zeros(len(self.frame), dtype=bool)
        found[self.duplicates.first[chosen[self.duplicates.second]]] = True
        found[self.duplicates.second[chosen[self.duplicates.first]]] = True
        same_bytes = np.bincount(self.file_numbers, weights=chosen)[self.file_numbers]
        return found | (same_bytes > chosen)

    def group_in(self, chosen: Mask) -> Mask:
        """Which rows belong to a group that has images among the ``chosen`` rows."""
        return self.frame["group"].isin(self.frame.loc[chosen, "group"].dropna()).to_numpy(bool)

    def test_parts(self, protocol: str) -> dict[str, Mask]:
        """The test images of a protocol by ``PARTS``; each one is in one part."""
        train, test = self.in_split(protocol, "train"), self.in_split(protocol, "test")
        near_duplicate = self.near_duplicate_in(train)
        free = duplicate_free(self.frame["group"], train, near_duplicate)
        parts = (near_duplicate, ~near_duplicate & ~free, free)
        return {name: test & part for name, part in zip(PARTS, parts, strict=True)}

    def pairs_across_splits(self, protocol: str) -> np.ndarray:
        """bool (pairs,): which pairs of near duplicates are in two different splits of a protocol."""
        splits = np.zeros(len(self.frame), dtype=np.int8)
        for number, split in enumerate(SPLIT_NAMES, start=1):
            splits[self.in_split(protocol, split)] = number
        first, second = splits[self.duplicates.first], splits[self.duplicates.second]
        return (first > 0) & (second > 0) & (first != second)

    def train_test(self, protocol: str) -> "TrainTest | None":
        """The training and the test split of a protocol; None if one of them is empty."""
        train, test = self.in_split(protocol, "train"), self.in_split(protocol, "test")
        if not (train.any() and test.any()):
            return None
        classes = pd.factorize(self.frame["label"].where(train | test), sort=True)[0]
        return TrainTest(classes, train, test)


@dataclass(frozen=True)
class TrainTest:
    """The training and the test split of one protocol.

    Attributes:
        classes: int (rows,): class number of each row, -1 for rows in neither split.
        train: Which rows are in the training split; at least one.
        test: Which rows are in the test split; at least one.
    """

    classes: np.ndarray
    train: Mask
    test: Mask

    @property
    def largest_class_accuracy(self) -> float:
        """Test accuracy of always choosing the largest class of the training split."""
        largest = int(np.argmax(np.bincount(self.classes[self.train])))
        return round(float((self.classes[self.test] == largest).mean()), 6)
