"""Check: mirrored, turned and augmented copies of other images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.splits import PROTOCOLS
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.leakage import ImageShare, image_share
from mri_model.quality.wording import many, percent


@dataclass(frozen=True)
class Found:
    """Copies of one kind.

    Attributes:
        n: Number of images that are such a copy of another image, or its original.
        in_train: Test images whose original, or another copy of it, is in training, per protocol.
    """

    n: int
    in_train: dict[str, ImageShare]


@dataclass(frozen=True)
class Copies(Check):
    """Images of one tumor type that were made from each other.

    Attributes:
        turned: Mirrored copies and copies turned by right angles. Images that are near duplicates as they stand do not
            count: heads are nearly symmetric.
        augmented: Files that are named as augmented copies of another file, and agree with it.
    """

    turned: Found
    augmented: Found

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        return cls(found_copies(data, "turned_family"), found_copies(data, "augmented_family"))

    def issues(self) -> Iterator[Issue]:
        if self.augmented.n:
            yield augmented_issue(self.augmented)
        if self.turned.n:
            yield turned_issue(self.turned)


def found_copies(data: DataSet, column: str) -> Found:
    """Count the copies of one kind; ``column`` holds the number that a picture and its copies share."""
    family = data.frame[column]
    in_train = {}
    for protocol in PROTOCOLS:
        train, test = (data.in_split(protocol, split) for split in ("train", "test"))
        known = test & family.isin(family[train].dropna()).to_numpy(bool)
        in_train[protocol] = image_share(int(known.sum()), int(test.sum()))
    return Found(int(family.notna().sum()), in_train)


def augmented_issue(found: Found) -> Issue:
    told = ", ".join(f"{percent(each.share or 0)} ({name} split)" for name, each in found.in_train.items())
    return Issue(
        "serious",
        f"The data set holds augmented copies beside their originals: {many(found.n, 'file')} by name and picture. "
        f"Test images whose original, or another copy of it, is in training: {told}.",
        "An augmented copy is an altered version of an image that is already there. It is no new patient, and a "
        "network that has seen the original knows it.",
        "Remove the augmented copies and train on the originals: training makes its own copies. Until then use the "
        "grouped split.",
    )


def turned_issue(found: Found) -> Issue:
    told = ", ".join(f"{each.n} ({name} split)" for name, each in found.in_train.items())
    return Issue(
        "notice",
        f"{many(found.n, 'image', 'has', 'have')} a mirrored or turned copy. Test images with such a copy in training: "
        f"{told}.",
        "A mirrored or turned copy is the same image again, and a network that is trained with mirror images knows it.",
        "Keep one of each. The grouped split keeps them together.",
    )
