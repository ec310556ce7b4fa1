"""Contrast of the label against the hint in the header."""

from typing import Any

import pandas as pd

from mri_model.quality.header_contrast import Counts
from mri_model.quality.report import QualityReport
from tests.quality.samples import noise, pairs, quality_report, reject, sound, table, texts


def hinted(labels: list[str], hints: list[Any]) -> pd.DataFrame:
    """Series of two images each; ``labels`` and ``hints`` are the contrasts."""
    frame = table([f"A {label}" for label in labels], ["train", "val", "test"] * (len(labels) // 3))
    frame["series"] = [f"s{row // 2}" for row in range(len(frame))]
    return frame.assign(contrast=labels, contrast_hint=hints)


def report_of(frame: pd.DataFrame) -> QualityReport:
    return quality_report(frame, noise(len(frame)), pairs())


def test_without_a_hint_nothing_is_said() -> None:
    for frame in (sound()[0], hinted(["T1"] * 6, [None] * 6)):
        report = report_of(frame)
        assert report.header_contrast.hinted == Counts(0, 0)
        assert "header" not in texts(report)


def test_hints_that_agree_are_good_and_counted() -> None:
    report = report_of(hinted(["T1"] * 4 + ["T2"] * 2, ["T1"] * 4 + [None] * 2))
    told = "The contrast of the labels agrees with the header of all 2 series, 4 images that give a hint of it."
    assert told in texts(report, "good")


def test_disagreements_are_counted_by_kind_most_images_first_and_change_no_label() -> None:
    labels, hints = ["T1C+"] * 6 + ["T1"] * 6, ["T1"] * 4 + ["T1C+"] * 2 + ["T1"] * 3 + ["T2"] * 2 + [None]
    frame = hinted(labels, hints)
    before = frame.copy()
    report = report_of(frame)
    assert report.header_contrast.kinds == {
        "labelled T1C+, T1 by the header": Counts(2, 4),
        "labelled T1, T2 by the header": Counts(2, 2),
    }
    assert next(iter(report.header_contrast.kinds)) == "labelled T1C+, T1 by the header"
    told = (
        "55 % of the images whose header gives a hint of the contrast (6 of 11) have another one in their label: "
        "labelled T1C+, T1 by the header (2 series, 4 images); labelled T1, T2 by the header (2 series, 2 images)."
    )
    assert told in texts(report, "notice")  # a share of eleven images says little
    assert frame.equals(before)
    more = hinted(labels * 2, hints * 2)
    assert "55 % of the images" in texts(report_of(more), "serious")


def test_a_small_share_of_disagreements_is_to_note() -> None:
    frame = hinted(["T1"] * 60, ["T2"] * 2 + ["T1"] * 58)
    assert "3 % of the images" in texts(report_of(frame), "notice")
    frame["contrast_hint"] = ["T2"] * 3 + ["T1"] * 57
    assert "5 % of the images" in texts(report_of(frame), "serious")


def test_rejected_images_and_classes_without_a_contrast_are_not_compared() -> None:
    frame = hinted(["T1"] * 6, ["T1"] * 3 + ["T2"] * 3)
    frame.loc[3, "contrast"] = None
    frame = reject(frame, [4, 5], "slice left out: outside of the central 60 %")
    assert report_of(frame).header_contrast.hinted == Counts(2, 3)
    assert not report_of(frame).header_contrast.kinds
