"""What links images of one source: the agreement curves and their thresholds. It states facts and finds no issue."""

from dataclasses import dataclass
from typing import Self

from mri_model.data.agreement import Agreement
from mri_model.quality.check import Check
from mri_model.quality.dataset import DataSet


@dataclass(frozen=True)
class SameSource(Check):
    """The agreement curves of pixels and of edges; ``Agreement.measured`` says whether a threshold is a default."""

    agreements: tuple[Agreement, ...]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        return cls(data.agreements)
