"""Groups so large that a class cannot be split."""

import pandas as pd
import pytest

from tests.quality.samples import noise, pairs, quality_report, table, texts


def grouped(largest: int, splits: tuple[str, ...] = ("train", "val", "test")) -> pd.DataFrame:
    """A class B of single images, and a class A of 100 images with one group, which is in training."""
    others = [splits[row % len(splits)] for row in range(200 - largest)]
    frame = table(["A"] * 100 + ["B"] * 100, ["train"] * largest + others)
    frame.loc[frame.index < largest, "group"] = 0
    return frame


def test_a_group_of_more_than_a_tenth_of_its_class_is_an_issue() -> None:
    report = quality_report(grouped(11), noise(200), pairs())
    assert "1 class has a group with more than 10 % of the images (A: 11 images, 11 %)." in texts(report, "notice")
    assert not quality_report(grouped(10), noise(200), pairs()).large_groups.classes


@pytest.mark.parametrize(
    ("largest", "splits", "told"),
    [
        (71, ("train", "val", "test"), "(A: 71 images, 71 %)"),
        (30, ("train", "test"), "(A: 30 images, 30 %, no validation images)"),
        (30, ("train",), "(A: 30 images, 30 %, no validation and no test images)"),
    ],
)
def test_a_group_that_prevents_an_honest_split_is_serious(largest: int, splits: tuple[str, ...], told: str) -> None:
    report = quality_report(grouped(largest, splits), noise(200), pairs())
    serious = texts(report, "serious")
    assert "1 class cannot be split honestly" in serious and told in serious
    assert "a group with more than" not in texts(report)


def test_a_small_class_has_no_large_group() -> None:
    frame = table(["A"] * 10 + ["B"] * 30, ["train", "val", "test", "train"] * 10)
    frame.loc[frame["label"] == "A", "group"] = 0
    assert not quality_report(frame, noise(40), pairs()).large_groups.classes
