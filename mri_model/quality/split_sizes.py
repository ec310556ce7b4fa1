"""Check: splits without images, and classes with too few test images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.splits import PROTOCOLS
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import SPLIT_NAMES, DataSet

FEW_TESTED = 10
"""With fewer test images, one image changes the accuracy of a class by more than ten percentage points."""


@dataclass(frozen=True)
class ProtocolSizes:
    """Images in each split of one protocol.

    Attributes:
        few_tested: Number of classes with fewer than ``FEW_TESTED`` test images.
    """

    train: int
    val: int
    test: int
    few_tested: int

    @property
    def missing(self) -> list[str]:
        """The splits without images."""
        return [split for split in SPLIT_NAMES if not getattr(self, split)]


@dataclass(frozen=True)
class SplitSizes(Check):
    """Sizes of the splits, per protocol.

    Attributes:
        n_classes: Number of classes with accepted images.
    """

    n_classes: int
    protocols: dict[str, ProtocolSizes]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        n_classes = data.accepted_rows()["label"].nunique()
        return cls(int(n_classes), {protocol: protocol_sizes(data, protocol) for protocol in PROTOCOLS})

    def issues(self) -> Iterator[Issue]:
        for protocol, sizes in self.protocols.items():
            if sizes.missing:
                yield missing_issue(protocol, sizes)
        few = {protocol: sizes.few_tested for protocol, sizes in self.protocols.items() if sizes.few_tested}
        if self.n_classes > 1 and few:
            told = ", ".join(f"{n} of {self.n_classes} ({protocol} split)" for protocol, n in few.items())
            yield Issue(
                "notice",
                f"Classes with fewer than {FEW_TESTED} test images: {told}.",
                "In such a class a single image changes the share of correct answers by more than ten percentage "
                "points.",
                "Give the number of test images beside the result of a class, and do not rank such classes.",
            )


def protocol_sizes(data: DataSet, protocol: str) -> ProtocolSizes:
    sizes = {split: int(data.in_split(protocol, split).sum()) for split in SPLIT_NAMES}
    classes = data.accepted_rows()["label"].unique()
    tested = data.frame.loc[data.in_split(protocol, "test"), "label"].value_counts().reindex(classes, fill_value=0)
    return ProtocolSizes(**sizes, few_tested=int((tested < FEW_TESTED).sum()))


def missing_issue(protocol: str, sizes: ProtocolSizes) -> Issue:
    names = " and no ".join(SPLIT_NAMES[split] for split in sizes.missing)
    return Issue(
        "serious",
        f"The {protocol} split has no {names} images.",
        "A network needs training images to learn from, validation images to choose the best epoch, and test images "
        "for its score.",
        "Add images: every class needs several independent ones.",
    )
