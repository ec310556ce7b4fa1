"""Check: test images that are known from training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION
from mri_model.data.splits import PROTOCOLS
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import share
from mri_model.quality.wording import capitalized, percent

SERIOUS_SHARE = 0.05
"""Share of leaking test images from which the score of a split misleads."""

LARGE_SHARE = 1 / 3
"""Share of leaking test images from which the score mostly measures the leak."""

NEAR_DUPLICATE = (
    "A near duplicate is practically the same image: the same file, or a correlation of at least "
    f"{NEAR_DUPLICATE_CORRELATION} between small grey versions."
)

GROUP = (
    "A group holds images of one tumor type that probably come from one examination: linked by similar pixels or "
    "edges, as mirrored, turned or augmented copies, by consecutive time stamps in their file names, or by their "
    "patient. Images of a patient whom the files themselves name are one group, whatever the tumor types."
)


@dataclass(frozen=True)
class ImageShare:
    """A part of the test images: their number, and their share of all test images (None if there are none)."""

    n: int
    share: float | None


@dataclass(frozen=True)
class ProtocolLeakage:
    """What one protocol's test split shares with its training split.

    Attributes:
        n_train: Number of training images.
        n_test: Number of test images.
        near_duplicate_in_train: Test images with a near duplicate in training.
        group_in_train: Test images of a group that has images in training.
        parts: The test images by ``PARTS``: what a score is made of.
        cross_pairs: Pairs of near duplicates in two different splits, validation included.
    """

    n_train: int
    n_test: int
    near_duplicate_in_train: ImageShare
    group_in_train: ImageShare
    parts: dict[str, ImageShare]
    cross_pairs: int

    @property
    def leaks(self) -> bool:
        return bool(self.near_duplicate_in_train.n or self.group_in_train.n)

    @property
    def leaking_share(self) -> float:
        return max(self.near_duplicate_in_train.share or 0, self.group_in_train.share or 0)


@dataclass(frozen=True)
class Leakage(Check):
    """Leakage between training and test, per protocol.

    Attributes:
        complete: Whether all pairs of near duplicates are known. If not, the numbers are lower bounds.
    """

    complete: bool
    protocols: dict[str, ProtocolLeakage]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        return cls(
            bool(data.duplicates.complete), {protocol: protocol_leakage(data, protocol) for protocol in PROTOCOLS}
        )

    def issues(self) -> Iterator[Issue]:
        yield from self.leak_issues()

    def leak_issues(self) -> Iterator[Issue]:
        """The leaks that were found; the report lists them before everything else."""
        for protocol, found in self.protocols.items():
            if found.near_duplicate_in_train.n:
                yield near_duplicate_leak(protocol, found, self.complete)
            elif found.group_in_train.n:
                yield group_leak(protocol, found)


def image_share(n: int, n_test: int) -> ImageShare:
    return ImageShare(n, share(n, n_test))


def protocol_leakage(data: DataSet, protocol: str) -> ProtocolLeakage:
    train, test = data.in_split(protocol, "train"), data.in_split(protocol, "test")
    n_test = int(test.sum())
    n_group = int((test & data.group_in(train)).sum())
    parts = data.test_parts(protocol)
    n_near_duplicate = int(parts["near_duplicate"].sum())
    return ProtocolLeakage(
        n_train=int(train.sum()),
        n_test=n_test,
        near_duplicate_in_train=image_share(n_near_duplicate, n_test),
        group_in_train=image_share(n_group, n_test),
        parts={name: image_share(int(chosen.sum()), n_test) for name, chosen in parts.items()},
        cross_pairs=int(data.pairs_across_splits(protocol).sum()),
    )


def near_duplicate_leak(protocol: str, found: ProtocolLeakage, complete: bool) -> Issue:
    duplicate, group = found.near_duplicate_in_train, found.group_in_train
    claim = (
        f"{'' if complete else 'at least '}{percent(duplicate.share or 0)} of the test images of the {protocol} split "
        f"({duplicate.n} of {found.n_test}) have a near duplicate among its training images."
    )
    more = f" Counting all images whose group is in training, it is {percent(group.share or 0)}. {GROUP}"
    meaning = f"{NEAR_DUPLICATE} {score_misleads(found)}{more if group.n > duplicate.n else ''}"
    return leak_issue(protocol, found, capitalized(claim), meaning)


def group_leak(protocol: str, found: ProtocolLeakage) -> Issue:
    group = found.group_in_train
    claim = (
        f"{percent(group.share or 0)} of the test images of the {protocol} split ({group.n} of {found.n_test}) "
        "belong to a group that is also trained on."
    )
    return leak_issue(protocol, found, claim, f"{GROUP} {score_misleads(found)}")


def score_misleads(found: ProtocolLeakage) -> str:
    how_far = "mostly" if found.leaking_share >= LARGE_SHARE else "partly"
    return (
        f"A score on this split {how_far} shows how well a network recognizes images it has practically seen. "
        "Expect a lower score for new patients."
    )


def leak_issue(protocol: str, found: ProtocolLeakage, claim: str, meaning: str) -> Issue:
    use_other = "Use the grouped split, or report" if protocol == "random" else "Report"
    return Issue(
        "serious" if found.leaking_share >= SERIOUS_SHARE else "notice",
        claim,
        meaning,
        f"{use_other} the score on the test images without a near duplicate or an image of their group in training.",
    )
