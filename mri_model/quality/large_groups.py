"""Check: groups that hold so much of a class that it cannot be split well, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.splits import SHARES
from mri_model.quality.check import Check, Issue
from mri_model.quality.classes import FEW
from mri_model.quality.dataset import SPLIT_NAMES, DataSet
from mri_model.quality.measures import share
from mri_model.quality.wording import many, percent

LARGE_SHARE, LARGE_SIZE = 0.10, 10
"""A group with more images of a class, and more than this share of it, is an issue."""

ADVICE = "Add images of other patients to these classes, or remove most images of the large groups."


@dataclass(frozen=True)
class LargestGroup:
    """The largest group of one class under the grouped split.

    Attributes:
        n: Its number of images of the class.
        share: Their share of the class.
        missing: Splits without an image of the class.
    """

    n: int
    share: float
    missing: tuple[str, ...]

    @property
    def prevents_split(self) -> bool:
        """Whether the class cannot have shares near 70/15/15, or is missing from a split."""
        return self.share > SHARES["train"] or bool(self.missing)


@dataclass(frozen=True)
class LargeGroups(Check):
    """Classes with a large group, by name; images with more than one label do not count."""

    classes: dict[str, LargestGroup]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.frame[data.accepted & ~data.conflict]
        found = {}
        for label, members in rows.groupby("label"):
            n = int(members["group"].value_counts().max())
            if n > LARGE_SIZE and n > LARGE_SHARE * len(members):
                missing = tuple(split for split in SPLIT_NAMES if not (members["split_grouped"] == split).any())
                found[str(label)] = LargestGroup(n, share(n, len(members)) or 0.0, missing)
        return cls(found)

    def issues(self) -> Iterator[Issue]:
        impossible = {label: each for label, each in self.classes.items() if each.prevents_split}
        if impossible:
            classes = many(len(impossible), "class", "cannot be split", "cannot be split")
            yield Issue(
                "serious",
                f"{classes} honestly: one group of linked images holds most of the class, or leaves no other images "
                f"for validation or test ({listed(impossible)}).",
                "A group stays in one split as a whole. A score of such a class says little, because most of its "
                "images, or all that are tested, come from a single source.",
                ADVICE,
            )
        large = {label: each for label, each in self.classes.items() if label not in impossible}
        if large:
            have = many(len(large), "class", "has", "have")
            yield Issue(
                "notice",
                f"{have} a group with more than {percent(LARGE_SHARE)} of the images ({listed(large)}).",
                "A group stays in one split as a whole, and its images resemble each other: such a class has fewer "
                "independent images than it seems, and its score changes with the split that the group is in.",
                "Use cross-validation (mri train --folds), and compare the number of groups, not of images. " + ADVICE,
            )


def listed(classes: dict[str, LargestGroup]) -> str:
    """The three classes with the largest shares."""
    ordered = sorted(classes.items(), key=lambda item: (-item[1].share, item[0]))
    told = [f"{label}: {each.n} images, {percent(each.share)}{without(each)}" for label, each in ordered[:FEW]]
    return "; ".join(told) + ("; …" if len(ordered) > FEW else "")


def without(group: LargestGroup) -> str:
    names = " and no ".join(SPLIT_NAMES[split] for split in group.missing)
    return f", no {names} images" if names else ""
