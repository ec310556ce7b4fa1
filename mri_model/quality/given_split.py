"""Check: the split that the data came with, and what its test images share with its training images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.splits import GIVEN
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.leakage import SERIOUS_SHARE, ProtocolLeakage, protocol_leakage
from mri_model.quality.wording import many, percent


@dataclass(frozen=True)
class GivenSplit(Check):
    """Folders such as ``Training`` and ``Testing`` around the class folders.

    Attributes:
        leakage: What test and training images share; None if the data did not come in a split.
        n_val: Number of validation images.
        untrained: Classes that are tested and have no training image.
    """

    leakage: ProtocolLeakage | None
    n_val: int
    untrained: tuple[str, ...] = ()

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        trained, tested = (set(data.frame.loc[data.in_split(GIVEN, split), "label"]) for split in ("train", "test"))
        return cls(
            protocol_leakage(data, GIVEN) if tested else None,
            int(data.in_split(GIVEN, "val").sum()),
            tuple(sorted(tested - trained)),
        )

    def issues(self) -> Iterator[Issue]:
        found = self.leakage
        if not found:
            return
        if self.untrained:
            yield Issue(
                "serious",
                "The data came in folders for training and test. "
                f"{many(len(self.untrained), 'class', 'is', 'are')} tested there without a training image: "
                f"{', '.join(self.untrained[:3])}{' …' if len(self.untrained) > 3 else ''}.",
                f"A network trained with --protocol {GIVEN} can never give such a class.",
                "Add training images, leave these classes out, or use the grouped split.",
            )
        n_known = max(found.near_duplicate_in_train.n, found.group_in_train.n)
        yield Issue(
            "serious" if found.leaking_share >= SERIOUS_SHARE else "notice",
            f"The data came in folders for training and test. {percent(found.leaking_share)} of its test images "
            f"({n_known} of {found.n_test}) have a near duplicate or an image of their group in its training folders.",
            "The random and the grouped split do not keep these folders: they pool all images.",
            "Use the grouped split. To compare with results on these folders, train and evaluate with --protocol "
            f"{GIVEN}, and report the score on the test images without a near duplicate in training.",
        )
