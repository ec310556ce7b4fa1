"""Check: how well a comparison of raw pixels classifies the test images, without any learning."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from mri_model.data.splits import PROTOCOLS
from mri_model.quality import leakage
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet, Mask, TrainTest
from mri_model.quality.measures import exceeds
from mri_model.quality.wording import percent

MAX_TESTED = 2000
"""At most this many test images are classified: ±2.2 percentage points at 95 % confidence."""

EXCESS = 0.20
"""By how much the accuracy must exceed that of the largest class to be an issue."""

BLOCK = 1024
"""Training images compared at a time, and products summed in float32 at a time."""


@dataclass(frozen=True)
class Score:
    """Accuracy and macro-F1 on ``n`` images."""

    n: int
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class ProtocolNeighbors:
    """Results of the nearest neighbor (1-NN) under one protocol.

    Attributes:
        pixels: Score on the test images, or on ``MAX_TESTED`` of them.
        duplicate_free: Score on those of them without a near duplicate in training; None if there are none.
        near_duplicate_share: Share of all test images with a near duplicate in training.
        largest_class: Accuracy of always choosing the largest class, on all test images.
    """

    pixels: Score
    duplicate_free: Score | None
    near_duplicate_share: float
    largest_class: float

    @property
    def leaks(self) -> bool:
        return self.near_duplicate_share >= leakage.SERIOUS_SHARE


@dataclass(frozen=True)
class NearestNeighbor(Check):
    """Each test image gets the class of the training image with the smallest Euclidean distance between thumbnails.

    Attributes:
        protocols: Result per protocol; None if there is no training or no test image.
    """

    protocols: dict[str, ProtocolNeighbors | None]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        return cls({protocol: protocol_neighbors(data, data.train_test(protocol)) for protocol in PROTOCOLS})

    def issues(self) -> Iterator[Issue]:
        for protocol, found in self.protocols.items():
            if found and exceeds(found.pixels.accuracy, found.largest_class, found.pixels.n, EXCESS):
                yield self.resemblance(protocol, found)
                return

    def resemblance(self, protocol: str, found: ProtocolNeighbors) -> Issue:
        grouped = self.protocols["grouped"]
        comparisons = [
            ("on the test images without a near duplicate in training", found.duplicate_free if found.leaks else None),
            ("on the grouped split", grouped.pixels if grouped and protocol == "random" else None),
        ]
        told = "".join(f"{where} {percent(score.accuracy)}; " for where, score in comparisons if score)
        return Issue(
            "serious" if found.leaks else "notice",
            "A program that only compares raw pixels, without learning anything, already classifies "
            f"{percent(found.pixels.accuracy)} of the test images of the {protocol} split correctly.",
            f"For comparison: {told}always choosing the largest class {percent(found.largest_class)}.",
            "Compare the score of every network with these figures. A score that is not higher shows that the images "
            "resemble each other, not that the network has learned anything.",
        )


def protocol_neighbors(data: DataSet, split: TrainTest | None) -> ProtocolNeighbors | None:
    if split is None:
        return None
    tested = choose_tested(data.frame["path"], np.flatnonzero(split.test))
    targets = split.classes[tested]
    predicted = split.classes[nearest(data.thumbnails, tested, np.flatnonzero(split.train))]
    duplicate: Mask = data.near_duplicate_in(split.train)
    free = ~duplicate[tested]
    return ProtocolNeighbors(
        pixels=score(targets, predicted),
        duplicate_free=score(targets[free], predicted[free]) if free.any() else None,
        near_duplicate_share=round(float(duplicate[split.test].mean()), 6),
        largest_class=split.largest_class_accuracy,
    )


def choose_tested(paths: pd.Series, test: np.ndarray) -> np.ndarray:
    """At most ``MAX_TESTED`` of the positions ``test``, in order; the choice depends on their paths alone."""
    if len(test) <= MAX_TESTED:
        return test
    keys = [hashlib.sha256(path.encode()).digest() for path in paths.iloc[test]]
    return np.sort(test[np.argsort(np.array(keys, dtype="S32"), kind="stable")[:MAX_TESTED]])


def nearest(thumbnails: np.ndarray, tested: np.ndarray, known: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """For each position in ``tested`` the position in ``known`` with the smallest Euclidean distance.

    Of equal distances, the first in ``known`` counts. The arithmetic is exact and therefore the same on every machine
    (see ``products``).
    """
    left = centered(thumbnails[tested])
    best, found = np.full(len(tested), np.inf), np.zeros(len(tested), dtype=np.intp)
    for start in range(0, len(known), block):
        right = centered(thumbnails[known[start : start + block]])
        distance = -2.0 * products(left, right)
        distance += np.einsum("ij,ij->i", right, right, dtype=np.float64)
        closest = distance.argmin(axis=1)
        least = distance[np.arange(len(tested)), closest]
        better = least < best
        best[better], found[better] = least[better], known[start + closest[better]]
    return found


def centered(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (n, pixels), integers in -128…127."""
    return thumbnails.reshape(len(thumbnails), -1).astype(np.float32) - 128


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products, float64 (left rows, right rows), exact.

    A product of two pixels is at most 2¹⁴, so a sum of ``BLOCK`` of them is at most 2²⁴, and float32 holds every
    integer up to there. Longer sums are float64.
    """
    total = np.zeros((len(left), len(right)))
    for start in range(0, left.shape[1], BLOCK):
        total += left[:, start : start + BLOCK] @ right[:, start : start + BLOCK].T
    return total


def score(targets: np.ndarray, predicted: np.ndarray) -> Score:
    """Accuracy and macro-F1 as in an evaluation; at least one image."""
    from mri_model.evaluation.metrics import summarize  # scikit-learn is slow to import

    averages = summarize(targets, predicted)
    return Score(len(targets), round(averages.accuracy, 6), round(averages.macro_f1, 6))
