"""What a check is, and what it reports."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

from mri_model.quality.dataset import DataSet

Level = Literal["serious", "notice", "good"]

LEVEL_NAMES: dict[Level, str] = {"serious": "Serious", "notice": "To note", "good": "Good"}
"""All levels, most serious first, with the names that people read."""


@dataclass(frozen=True)
class Issue:
    """One thing to know about a data set, in words that a physician understands.

    Attributes:
        level: ``serious``: a score misleads; ``notice``: keep it in mind; ``good``: a check found nothing.
        claim: One sentence with the numbers.
        meaning: What this does to a score; empty if the claim says it all.
        advice: What to do about it.
    """

    level: Level
    claim: str
    meaning: str
    advice: str

    @property
    def text(self) -> str:
        """Claim and meaning."""
        return f"{self.claim} {self.meaning}".strip()


class Check(ABC):
    """One check of a data set.

    A subclass is a frozen dataclass. Its fields are what it measured; they are written to ``quality.json``, so they are
    numbers, strings, tuples, dictionaries with string keys and other dataclasses of these. Shares, accuracies and F1
    are in 0…1, rounded to six digits, and None where there is nothing to measure.
    """

    @classmethod
    @abstractmethod
    def measure(cls, data: DataSet) -> Self:
        """Measure a data set. The result depends on nothing else, not even on the number of threads."""

    def issues(self) -> Iterator[Issue]:
        """The issues that follow from the measurement; none if the check only states facts."""
        return iter(())
