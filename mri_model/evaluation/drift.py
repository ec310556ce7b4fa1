"""Whether images differ from a reference by more than chance explains: a permutation test. Arithmetic on arrays.

The test exchanges sources, not images: the slices of one examination resemble each other, and exchanging them one by
one would take each large examination for a change. Each source counts as much as any other, whatever its number of
images.
See Good, "Permutation, parametric and bootstrap tests of hypotheses", 2005, chapter 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

ALPHA = 0.005
"""Probability that chance alone makes a comparison find a difference in any statistic (Bonferroni)."""

PERMUTATIONS = 1999

MIN_EXCESS = 0.1
"""Differences matter from here: what the distance exceeds its mean under chance by."""

MIN_IMAGES, MIN_SOURCES = 50, 20
"""Fewer are not compared."""

MOST_SOURCES = 2000
"""Of more sources so many are compared, chosen at random."""


@dataclass(frozen=True)
class Statistic:
    """What is compared.

    Attributes:
        n_bins: Number of values it takes.
        ordered: Whether its values are intervals of a number, in rising order.
    """

    name: str
    n_bins: int
    ordered: bool


@dataclass(frozen=True)
class Sample:
    """Images, described by the source each one comes from and by the value of each statistic.

    Attributes:
        sources: Number of each image's source, int64 of shape (n,).
        values: Statistic's name → the value of each image, counted from 0; int64 of shape (n,).
    """

    sources: np.ndarray
    values: Mapping[str, np.ndarray]

    @property
    def n_images(self) -> int:
        return len(self.sources)

    @property
    def n_sources(self) -> int:
        return len(np.unique(self.sources))

    @property
    def is_large_enough(self) -> bool:
        return self.n_images >= MIN_IMAGES and self.n_sources >= MIN_SOURCES

    @classmethod
    def joined(cls, samples: "Sequence[Sample]") -> Self:
        """Samples of the same statistics that have no source in common."""
        sources, start = [], 0
        for each in samples:
            sources.append(np.unique(each.sources, return_inverse=True)[1] + start)
            start += each.n_sources
        values = {name: np.concatenate([each.values[name] for each in samples]) for name in samples[0].values}
        return cls(np.concatenate(sources), values)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        values = {name: np.array(value, np.int64) for name, value in stored["values"].items()}
        return cls(np.array(stored["sources"], np.int64), values)

    def as_json(self) -> dict[str, Any]:
        return {
            "sources": self.sources.tolist(),
            "values": {name: value.tolist() for name, value in self.values.items()},
        }


@dataclass(frozen=True)
class Difference:
    """One statistic of a sample against the reference.

    Attributes:
        distance: Total variation distance, or Kolmogorov's if the statistic is ordered: the share of sources, in 0-1,
            that would have to have other values for both to be alike.
        expected: Mean of this distance under chance.
        p_value: Probability of such a distance under chance, in (0, 1].
        differs: Whether chance does not explain it, and it matters.
    """

    statistic: str
    distance: float
    expected: float
    p_value: float
    differs: bool


def compare(sample: Sample, reference: Sample, statistics: Sequence[Statistic]) -> tuple[Difference, ...]:
    """Compare a sample with a reference; the same samples give the same result.

    Raises:
        ValueError: If one of them has no images.
    """
    generator = np.random.default_rng(0)
    both = [thinned(each, generator) for each in (sample, reference)]
    n, m = (each.n_sources for each in both)
    chosen = random_choices(n, n + m, generator)
    pooled = Sample.joined(both)
    found = []
    for statistic in statistics:
        shares = shares_of_sources(pooled.sources, pooled.values[statistic.name], statistic.n_bins)
        sums = np.vstack([shares[:n].sum(axis=0), chosen @ shares])
        distances = distance(sums / n, (shares.sum(axis=0) - sums) / m, statistic.ordered)
        found.append(judged(statistic.name, distances[0], distances[1:], len(statistics)))
    return tuple(found)


def thinned(sample: Sample, generator: np.random.Generator) -> Sample:
    """The images of at most ``MOST_SOURCES`` sources."""
    sources = np.unique(sample.sources)
    if len(sources) <= MOST_SOURCES:
        return sample
    kept = np.isin(sample.sources, generator.permutation(sources)[:MOST_SOURCES])
    return Sample(sample.sources[kept], {name: value[kept] for name, value in sample.values.items()})


def random_choices(n: int, total: int, generator: np.random.Generator) -> np.ndarray:
    """``PERMUTATIONS`` random choices of ``n`` of ``total``: 1 where chosen, float64 of shape (choices, total)."""
    choices = np.zeros((PERMUTATIONS, total))
    places = generator.random(choices.shape).argpartition(n - 1, axis=1)[:, :n]
    np.put_along_axis(choices, places, 1.0, axis=1)
    return choices


def shares_of_sources(sources: np.ndarray, values: np.ndarray, n_bins: int) -> np.ndarray:
    """Share of each value among the images of each source: float64 of shape (sources, n_bins), rows sum to 1."""
    counts = np.bincount(sources * n_bins + values, minlength=(int(sources.max()) + 1) * n_bins).reshape(-1, n_bins)
    return counts / counts.sum(axis=1, keepdims=True)


def distance(first: np.ndarray, second: np.ndarray, ordered: bool) -> np.ndarray:
    """Distance of distributions, in 0-1: float64 of shape (k,) from shares of shape (k, n_bins)."""
    difference = first - second
    if ordered:
        return np.abs(difference.cumsum(axis=1)).max(axis=1)
    return np.abs(difference).sum(axis=1) / 2


def judged(name: str, observed: float, by_chance: np.ndarray, n_statistics: int) -> Difference:
    as_far = int((by_chance >= observed - 1e-9).sum())  # equal distances may differ by rounding
    p_value = (1 + as_far) / (1 + len(by_chance))
    expected = float(by_chance.mean())
    differs = p_value * n_statistics <= ALPHA and observed - expected >= MIN_EXCESS
    return Difference(name, float(observed), expected, p_value, bool(differs))
