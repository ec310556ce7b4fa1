"""Check: classes with too few images or groups, and classes of very different size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.class_table import groups_per_class
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.wording import many, most_frequent

FEW = 3
"""A class with fewer images or groups is missing from the training, validation or test split."""

FEW_GROUPS = 5
"""With so few groups or fewer, one or two of them are tested: no figure of that class means much."""

IMBALANCE = 10.0
"""Ratio of the largest to the smallest class from which it is an issue."""


@dataclass(frozen=True)
class Classes(Check):
    """Size of each class, sorted by name.

    Attributes:
        sizes: Number of accepted images per class.
        groups: Number of groups per class in the grouped split, so without images that have more than one label.
    """

    sizes: dict[str, int]
    groups: dict[str, int]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        sizes = {str(label): int(n) for label, n in data.accepted_rows()["label"].value_counts().sort_index().items()}
        groups = groups_per_class(data.frame)
        return cls(sizes, {label: int(groups.get(label, 0)) for label in sizes})

    @property
    def smallest(self) -> str | None:
        return min(self.sizes, key=lambda label: self.sizes[label], default=None)

    @property
    def largest(self) -> str | None:
        return max(self.sizes, key=lambda label: self.sizes[label], default=None)

    @property
    def imbalance(self) -> float | None:
        """Images in the largest class per image in the smallest; None without classes."""
        sizes = self.sizes.values()
        return max(sizes) / min(sizes) if sizes else None

    @property
    def too_small(self) -> list[str]:
        """Classes with fewer than ``FEW`` images or groups."""
        return [label for label, n in self.sizes.items() if min(n, self.groups[label]) < FEW]

    @property
    def few_groups(self) -> dict[str, int]:
        """Number of groups of the classes with ``FEW`` to ``FEW_GROUPS`` of them, fewest first."""
        found = {label: n for label, n in self.groups.items() if label not in self.too_small and n <= FEW_GROUPS}
        return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))

    def issues(self) -> Iterator[Issue]:
        if len(self.sizes) < 2:
            yield Issue(
                "serious",
                "There is only one class." if self.sizes else "There is no class.",
                "A network has nothing to distinguish.",
                "Use a folder that holds one folder per class.",
            )
            return
        if few := self.too_small:
            yield Issue(
                "serious" if min(self.sizes.values()) < FEW else "notice",
                f"{many(len(few), 'class', 'has', 'have')} fewer than {FEW} images, or fewer than {FEW} independent "
                f"groups of images: {', '.join(few[:3])}{' …' if len(few) > 3 else ''}.",
                "Such a class is missing from training, validation or test.",
                "Add independent images, or leave these classes out.",
            )
        if few_groups := self.few_groups:
            have = many(len(few_groups), "class", "has", "have")
            yield Issue(
                "notice",
                f"{have} only {FEW} to {FEW_GROUPS} independent groups of images ({most_frequent(few_groups)}).",
                "The images of a group probably come from one examination, so one or two examinations are all that is "
                "tested. No figure of such a class means much.",
                "Report these classes together, or add images of other patients.",
            )
        if (self.imbalance or 0) >= IMBALANCE:
            largest, smallest = str(self.largest), str(self.smallest)
            yield Issue(
                "notice",
                f"The largest class has {self.imbalance:.0f} times as many images as the smallest "
                f"({largest}: {self.sizes[largest]}; {smallest}: {self.sizes[smallest]}).",
                "The accuracy then depends mostly on the large classes.",
                "Look at macro-F1, in which every class has the same weight, and at the results of each class.",
            )
