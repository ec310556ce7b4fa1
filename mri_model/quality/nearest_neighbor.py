"""Check: how well a comparison of raw pixels or of edges classifies the test images, without any learning."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from mri_model.data.similarity import all_products
from mri_model.data.splits import PROTOCOLS
from mri_model.quality import leakage
from mri_model.quality.check import Check, Issue, Level
from mri_model.quality.dataset import DataSet, TrainTest
from mri_model.quality.measures import MIN_SERIOUS, MIN_TESTED, exceeds
from mri_model.quality.wording import percent

MAX_TESTED = 2000
"""At most this many test images are classified: ±2.2 percentage points at 95 % confidence."""

EXCESS = 0.20
"""By how much the accuracy on pixels must exceed that of the largest class to be an issue of the random split."""

NEAR_CHANCE, FAR_FROM_CHANCE = 0.10, 0.30
"""On the grouped split: up to this excess over the largest class is good, from the other one it is serious.

Some excess needs no leak: contrast and the plane of the slice also show in pixels and edges."""


BLOCK = 1024
"""Training images compared at a time."""


@dataclass(frozen=True)
class Score:
    """Accuracy and macro-F1 on ``n`` images."""

    n: int
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Neighbors:
    """Results of the nearest neighbor (1-NN) by one description of the images.

    Attributes:
        score: Score on the test images, or on ``MAX_TESTED`` of them.
        parts: Scores on those of them in each of ``PARTS``; None for an empty part.
    """

    score: Score
    parts: dict[str, Score | None]

    @property
    def free(self) -> Score | None:
        """Score on the images with neither a near duplicate nor an image of their group in training."""
        return self.parts["free"]


@dataclass(frozen=True)
class ProtocolNeighbors:
    """Results under one protocol.

    Attributes:
        pixels: By 64×64 grey pixels.
        edges: By HOG descriptors.
        near_duplicate_share: Share of all test images with a near duplicate in training.
        largest_class: Accuracy of always choosing the largest class, on all test images.
    """

    pixels: Neighbors
    edges: Neighbors
    near_duplicate_share: float
    largest_class: float

    @property
    def leaks(self) -> bool:
        return self.near_duplicate_share >= leakage.SERIOUS_SHARE

    @property
    def free_excess(self) -> float | None:
        """By how much the better of both beats always choosing the largest class, on the free images."""
        found = [each.free.accuracy for each in (self.pixels, self.edges) if each.free]
        return max(found) - self.largest_class if found else None


@dataclass(frozen=True)
class NearestNeighbor(Check):
    """Each test image gets the class of the training image at the smallest Euclidean distance.

    Attributes:
        protocols: Result per protocol; None if there is no training or no test image.
    """

    protocols: dict[str, ProtocolNeighbors | None]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        return cls({protocol: protocol_neighbors(data, protocol) for protocol in PROTOCOLS})

    def issues(self) -> Iterator[Issue]:
        random, grouped = (self.protocols[protocol] for protocol in PROTOCOLS)
        score = random.pixels.score if random else None
        if random and score and exceeds(score.accuracy, random.largest_class, score.n, EXCESS):
            yield resemblance(random, grouped)
        if grouped and grouped.pixels.free and grouped.edges.free:
            yield separation(grouped, grouped.pixels.free, grouped.edges.free)


def resemblance(random: ProtocolNeighbors, grouped: ProtocolNeighbors | None) -> Issue:
    score = random.pixels.score
    comparisons = [
        ("on the test images with neither a near duplicate nor their source in training", random.pixels.free),
        ("on the grouped split", grouped.pixels.score if grouped else None),
    ]
    told = "".join(f"{where} {percent(part.accuracy)} of {part.n}; " for where, part in comparisons if part)
    return Issue(
        "serious" if random.leaks and score.n >= MIN_SERIOUS else "notice",
        "A program that only compares raw pixels, without learning anything, already classifies "
        f"{percent(score.accuracy)} of {score.n} test images of the random split correctly.",
        f"For comparison: {told}always choosing the largest class {percent(random.largest_class)}.",
        "Compare the score of every network with these figures. A score that is not higher shows that the images "
        "resemble each other, not that the network has learned anything.",
    )


def separation(grouped: ProtocolNeighbors, pixels: Score, edges: Score) -> Issue:
    """How well the grouped split separates sources: with a good separation, comparing images is near chance."""
    excess = grouped.free_excess or 0.0
    facts = (
        f"comparing images by pixels gives the right class for {percent(pixels.accuracy)} and by edges for "
        f"{percent(edges.accuracy)} of {pixels.n} test images; always choosing the largest class for "
        f"{percent(grouped.largest_class)}."
    )
    if pixels.n < MIN_TESTED:
        claim, meaning = "There are too few test images to say whether the grouped split separates sources", FEW_TESTED
        level: Level = "notice"
    elif excess < NEAR_CHANCE:
        claim, meaning, level = "On the grouped split, comparing images is near chance", NEAR, "good"
    else:
        points = f"{100 * excess:.0f} percentage points"
        claim = f"On the grouped split, comparing images without learning still beats chance by {points}"
        meaning, level = ABOVE, "serious" if excess >= FAR_FROM_CHANCE else "notice"
    return Issue(level, f"{claim}: {facts}", meaning, SEPARATION_ADVICE)


NEAR = "No sign that images of one source are in both training and test. It does not prove that patients are separated."
ABOVE = (
    "Either images of one source, which the links did not find, are in both training and test, or the classes differ "
    "in something that is easy to see, such as contrast or plane. This comparison cannot say which."
)
FEW_TESTED = f"With fewer than {MIN_TESTED} test images these figures are uncertain by more than ten percentage points."
SEPARATION_ADVICE = "Compare the score of every network on the grouped split with these figures."


def protocol_neighbors(data: DataSet, protocol: str) -> ProtocolNeighbors | None:
    split = data.train_test(protocol)
    if split is None:
        return None
    parts = data.test_parts(protocol)
    tested = choose_tested(data.frame["path"], np.flatnonzero(split.test))
    chosen = {name: mask[tested] for name, mask in parts.items()}
    return ProtocolNeighbors(
        pixels=neighbors(data.fingerprints.thumbnails, split, tested, chosen),
        edges=neighbors(data.fingerprints.descriptors, split, tested, chosen),
        near_duplicate_share=round(float(parts["near_duplicate"][split.test].mean()), 6),
        largest_class=split.largest_class_accuracy,
    )


def neighbors(images: np.ndarray, split: TrainTest, tested: np.ndarray, parts: dict[str, np.ndarray]) -> Neighbors:
    """Classify the ``tested`` rows by ``images``, uint8 of shape (rows, …); ``parts`` holds masks of ``tested``."""
    targets = split.classes[tested]
    predicted = split.classes[nearest(images, tested, np.flatnonzero(split.train))]
    scores = {name: score(targets[of], predicted[of]) if of.any() else None for name, of in parts.items()}
    return Neighbors(score(targets, predicted), scores)


def choose_tested(paths: pd.Series, test: np.ndarray) -> np.ndarray:
    """At most ``MAX_TESTED`` of the positions ``test``, in order; the choice depends on their paths alone."""
    if len(test) <= MAX_TESTED:
        return test
    keys = [hashlib.sha256(path.encode()).digest() for path in paths.iloc[test]]
    return np.sort(test[np.argsort(np.array(keys, dtype="S32"), kind="stable")[:MAX_TESTED]])


def nearest(images: np.ndarray, tested: np.ndarray, known: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """For each position in ``tested`` the position in ``known`` with the smallest Euclidean distance.

    Of equal distances, the first in ``known`` counts. The arithmetic is exact and therefore the same on every machine.
    """
    left = centered(images[tested])
    best, found = np.full(len(tested), np.inf), np.zeros(len(tested), dtype=np.intp)
    for start in range(0, len(known), block):
        right = centered(images[known[start : start + block]])
        distance = -2.0 * all_products(left, right)
        distance += np.einsum("ij,ij->i", right, right, dtype=np.float64)
        closest = distance.argmin(axis=1)
        least = distance[np.arange(len(tested)), closest]
        better = least < best
        best[better], found[better] = least[better], known[start + closest[better]]
    return found


def centered(images: np.ndarray) -> np.ndarray:
    """float32 (n, length), integers in -128…127."""
    return images.reshape(len(images), -1).astype(np.float32) - 128


def score(targets: np.ndarray, predicted: np.ndarray) -> Score:
    """Accuracy and macro-F1 as in an evaluation; at least one image."""
    from mri_model.evaluation.metrics import summarize  # scikit-learn is slow to import

    averages = summarize(targets, predicted)
    return Score(len(targets), round(averages.accuracy, 6), round(averages.macro_f1, 6))
