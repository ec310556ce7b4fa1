"""Check: the same image under more than one label."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from mri_model.data.near_duplicates import SAME_PICTURE
from mri_model.data.same_source import connected
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import digests, numbered
from mri_model.quality.wording import many


@dataclass(frozen=True)
class LabeledFile:
    path: str
    label: str


@dataclass(frozen=True)
class Conflicts(Check):
    """Images that have more than one label.

    Attributes:
        sets: For each such image its files, in order of the manifest.
    """

    sets: tuple[tuple[LabeledFile, ...], ...]

    @property
    def n_files(self) -> int:
        return sum(len(files) for files in self.sets)

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = np.flatnonzero(data.conflict)
        members = pd.Series(rows).groupby(connected(same_image_links(data, rows), len(rows)), sort=False)
        paths, labels = data.frame["path"].to_numpy(object), data.frame["label"].to_numpy(object)
        return cls(
            tuple(tuple(LabeledFile(str(paths[row]), str(labels[row])) for row in found) for _, found in members)
        )

    def issues(self) -> Iterator[Issue]:
        if not self.sets:
            return
        two = all(len({file.label for file in files}) == 2 for files in self.sets)
        images = many(len(self.sets), "image", "is", "are")
        yield Issue(
            "serious",
            f"{images} in {'two' if two else 'several'} classes at once ({many(self.n_files, 'file')}).",
            "Not all of these labels can be right. A network learns from contradictory labels and is tested against "
            "them.",
            "Have an expert decide, and remove the wrong files. Until then the grouped split leaves these files out; "
            "the random split does not.",
        )


def same_image_links(data: DataSet, rows: np.ndarray) -> np.ndarray:
    """Links (n, 2) between positions in ``rows`` that hold the same image: bytes, pixels, thumbnail or correlation."""
    position = np.full(len(data.frame), -1)
    position[rows] = np.arange(len(rows))
    first, second = position[data.duplicates.first], position[data.duplicates.second]
    same = (first >= 0) & (second >= 0) & (data.duplicates.correlation >= SAME_PICTURE)
    equal = [data.file_numbers[rows], numbered(digests(data.thumbnails[rows]))]
    if data.pixel_numbers is not None:
        equal.append(data.pixel_numbers[rows])
    return np.concatenate([np.column_stack([first, second])[same], *(chained(numbers) for numbers in equal)])


def chained(numbers: np.ndarray) -> np.ndarray:
    """Links (n, 2) from each position to the next one with the same number."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order[:-1]] == numbers[order[1:]]
    return np.column_stack([order[:-1][same], order[1:][same]])
