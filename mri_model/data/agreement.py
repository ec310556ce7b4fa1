"""Agreement curves: how often images of a given similarity show the same tumor type, and their threshold.

Images of one examination show the same tumor. Above a similarity at which two images nearly always agree, they
are taken to come from one source; below it, similarity also occurs between patients. The curve is measured on each data
set.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from mri_model.data.pictures import Array
from mri_model.errors import MriError
from mri_model.files import read_json, write_json

AGREEMENT_FILE = "agreement.json"

STEP = 0.01
"""Width of the bins of similarity."""

MIN_EXCESS = 0.9
"""Excess agreement that every bin from the threshold up must reach."""

MIN_BIN_PAIRS = 100
"""A bin with fewer pairs is judged together with those below it: a share of 0.9 then has a standard error of 0.03."""

MIN_PAIRS = 200
"""With fewer pairs from the floor up, the default threshold is used."""

MAX_FALSE_LINKS = 0.1
"""Expected number of links between different sources, per group."""


@dataclass(frozen=True)
class Similarity:
    """A similarity of two images and the limits of its threshold.

    Attributes:
        name: ``pixels`` or ``edges``.
        start: The curve is measured from here.
        floor: The lowest threshold.
        default: The threshold where there are too few pairs to measure it.
    """

    name: str
    start: float
    floor: float
    default: float

    @property
    def n_bins(self) -> int:
        return round((1 - self.start) / STEP)

    def bins(self, similarity: Array | np.float64) -> Array:
        """Number of the bin of each similarity, which is at least ``start``; the last bin includes 1."""
        return np.minimum(((similarity - self.start) / STEP + 1e-6).astype(np.intp), self.n_bins - 1)

    def lower_end(self, number: int) -> float:
        return round(self.start + STEP * number, 2)


PIXELS = Similarity("pixels", start=0.86, floor=0.90, default=0.95)
"""Pearson correlation of 64×64 grey thumbnails."""

EDGES = Similarity("edges", start=0.66, floor=0.75, default=0.84)
"""Cosine of HOG descriptors without the data set's mean (``data.hog``)."""


@dataclass(frozen=True)
class AgreementBin:
    """Pairs of images with a similarity of at least ``similarity`` and less than the next bin's.

    Attributes:
        pairs: Number of pairs.
        agreeing: Number of pairs with the same tumor type.
    """

    similarity: float
    pairs: int
    agreeing: int


@dataclass(frozen=True)
class Agreement:
    """The agreement curve of one similarity.

    Attributes:
        similarity: Its name.
        chance: Share of all pairs of images that have the same tumor type.
        threshold: Images of one tumor type are linked from this similarity; None if no similarity is high enough.
        measured: Whether there were enough pairs to measure the threshold.
        bins: In rising order.
    """

    similarity: str
    chance: float
    threshold: float | None
    measured: bool
    bins: tuple[AgreementBin, ...]

    @property
    def used(self) -> tuple[AgreementBin, ...]:
        """The bins from the threshold up."""
        return () if self.threshold is None else tuple(b for b in self.bins if b.similarity >= self.threshold)

    @property
    def false_links(self) -> float:
        """Expected number of links between images of different sources: as many as the disagreeing pairs imply.

        Of all pairs of different sources, the share ``chance`` has the same tumor type and is linked.
        """
        disagreeing = sum(each.pairs - each.agreeing for each in self.used)
        return disagreeing * self.chance / (1 - self.chance) if disagreeing else 0.0

    def excess(self, number: int) -> float | None:
        """Excess agreement of a bin: 1 if all pairs agree, 0 if as many as by chance; None without pairs."""
        each = self.bins[number]
        return excess(each.pairs, each.agreeing, self.chance) if each.pairs and self.chance < 1 else None

    def raised(self) -> Self:
        """The same curve with the next higher threshold; None after the highest."""
        return replace(self, threshold=self.used[1].similarity if len(self.used) > 1 else None)

    @classmethod
    def of(cls, similarity: Similarity, pairs: Array, agreeing: Array, tumor: Array) -> Self:
        """The curve and its threshold.

        Args:
            pairs, agreeing: Per bin, int of shape (n_bins,).
            tumor: Code of the tumor type of each picture.
        """
        bins = tuple(
            AgreementBin(similarity.lower_end(number), int(n), int(same))
            for number, (n, same) in enumerate(zip(pairs, agreeing, strict=True))
        )
        chance = chance_agreement(tumor)
        above = [each for each in bins if each.similarity >= similarity.floor]
        measured = chance < 1 and sum(each.pairs for each in above) >= MIN_PAIRS
        threshold = measured_threshold(above, chance) if measured else similarity.default
        return cls(similarity.name, round(chance, 6), threshold, measured, bins)


def limit_false_links(
    agreements: Sequence[Agreement], n_groups: Callable[[Sequence[Agreement]], int]
) -> list[Agreement]:
    """Raise measured thresholds until the expected false links are at most ``MAX_FALSE_LINKS`` of the groups.

    One false link joins two groups for good: where groups are large, a bin may agree well and still join most of them.
    The similarity with the most false links in its lowest bin is raised first.

    Args:
        agreements: One for each similarity.
        n_groups: Gives the number of groups under some thresholds.
    """
    chosen = list(agreements)
    while True:
        candidates = [each for each in chosen if each.measured and each.false_links]
        if not candidates or sum(each.false_links for each in candidates) <= MAX_FALSE_LINKS * n_groups(chosen):
            return chosen
        worst = max(candidates, key=lambda each: each.used[0].pairs - each.used[0].agreeing)
        chosen[chosen.index(worst)] = worst.raised()


def thresholds_of(agreements: Sequence[Agreement]) -> dict[str, float | None]:
    """The threshold of each similarity by its name."""
    return {each.similarity: each.threshold for each in agreements}


def excess(pairs: int, agreeing: int, chance: float) -> float:
    return (agreeing / pairs - chance) / (1 - chance)


def chance_agreement(tumor: Array) -> float:
    """Share of pairs of pictures with the same tumor type; 1 if there are fewer than two tumor types."""
    sizes = np.bincount(tumor).astype(float) if len(tumor) else np.zeros(1)
    pairs = sizes.sum() * (sizes.sum() - 1)
    return float((sizes * (sizes - 1)).sum() / pairs) if pairs else 1.0


def measured_threshold(bins: list[AgreementBin], chance: float) -> float | None:
    """The lowest bin such that it and all bins above reach ``MIN_EXCESS``; None if the highest does not.

    Bins are merged downwards until they hold ``MIN_BIN_PAIRS``; a rest at the lower end is judged together with the
    last merged bin.
    """
    threshold = None
    pairs = agreeing = 0
    last = (0, 0)
    for each in reversed(bins):
        pairs, agreeing = pairs + each.pairs, agreeing + each.agreeing
        if pairs < MIN_BIN_PAIRS:
            continue
        if excess(pairs, agreeing, chance) < MIN_EXCESS:
            return threshold
        threshold, last = each.similarity, (pairs, agreeing)
        pairs = agreeing = 0
    if threshold is not None and excess(last[0] + pairs, last[1] + agreeing, chance) >= MIN_EXCESS:
        threshold = bins[0].similarity
    return threshold


def write_agreements(folder: Path, agreements: Sequence[Agreement]) -> None:
    write_json(folder / AGREEMENT_FILE, [asdict(each) for each in agreements])


def read_agreements(folder: Path) -> tuple[Agreement, ...]:
    """The agreement curves of a manifest folder. Raises MriError if their file is missing or damaged."""
    file = folder / AGREEMENT_FILE
    try:
        stored = read_json(file)
        return tuple(Agreement(**{**each, "bins": tuple(AgreementBin(**b) for b in each["bins"])}) for each in stored)
    except (OSError, ValueError, TypeError, KeyError):
        raise MriError(f"{file} is missing or damaged", "run: mri ingest DATA") from None
