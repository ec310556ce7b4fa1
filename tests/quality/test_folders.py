"""Masks, patients, and folders that were perhaps not read as they are meant."""

import pandas as pd
import pytest

from mri_model.data.inventory import NO_CLASS
from mri_model.quality.masks import Masks
from mri_model.quality.report import QualityReport
from tests.quality.samples import noise, pairs, quality_report, reject, sound, table, texts


def report_of(frame: pd.DataFrame) -> QualityReport:
    return quality_report(frame, noise(len(frame)), pairs())


def masks_among(*paths: str) -> Masks:
    frame, _ = sound(max(6, len(paths)))
    frame["path"] = [*paths, *(f"other/{row}.png" for row in range(len(frame) - len(paths)))]
    return report_of(frame).masks


@pytest.mark.parametrize(
    "mask",
    [
        "a/i1_mask.png",
        "a/i1-Mask.jpg",
        "a/i1 seg.tif",
        "a/i1_segmentation.png",
        "a/mask_i1.png",
        "a/i1_mask_1.png",
        "a/i1_masks.png",
        "masks/i7.png",
        "a/Mask/i7.png",
        "a/tumor_masks/i7.png",
    ],
)
def test_a_mask_is_found_by_its_name_or_folder(mask: str) -> None:
    assert masks_among("a/i1.png", "a/i2.png", mask) == Masks(1, (mask,))


@pytest.mark.parametrize("path", ["a/i9_mask.png", "b/i1_mask.png", "a/mask.png", "a/i1_masked.png", "unmasked/i1.png"])
def test_a_name_that_belongs_to_no_image_beside_it_is_no_mask(path: str) -> None:
    assert masks_among("a/i1.png", "a/i2.png", path) == Masks(0, ())


def test_masks_are_serious_and_named() -> None:
    frame, _ = sound()
    frame.loc[1, "path"] = "A/0_mask.png"
    assert "1 image has the name of a mask: A/0_mask.png." in texts(report_of(frame), "serious")
    assert "mask" not in texts(report_of(sound()[0]))


def test_classes_with_and_without_a_contrast_are_an_issue() -> None:
    frame = table(["A T1"] * 6 + ["B T1"] * 6 + ["misc"] * 6, ["train", "val", "test"] * 6)
    frame["contrast"] = ["T1"] * 12 + [None] * 6
    report = report_of(frame)
    assert "1 class has no contrast in the name, 2 have one. Without a contrast: misc." in texts(report, "notice")
    assert "contrast in the name" not in texts(report_of(frame[:12]))
    assert "contrast in the name" not in texts(report_of(sound()[0]))


def test_images_directly_in_a_folder_named_as_a_split_are_serious_unless_classes_are_below_it() -> None:
    frame, _ = sound()
    frame.loc[:2, "path"] = ["arms/test/1.png", "arms/test/2.png", "train/3.png"]
    frame.loc[3, "path"] = "train/A/4.png"
    frame = reject(frame, [0, 1, 2], f"{NO_CLASS}: 'test' has the name of a split")
    report = report_of(frame)
    assert report.folders.split_names == {"arms/test": 2}
    (issue,) = [issue for issue in report.issues if "arms/test" in issue.claim]
    assert issue.level == "serious"
    assert "--class-level 2" in issue.advice


def test_without_patients_the_report_says_so() -> None:
    assert "The data set does not say which images belong to the same patient." in texts(
        report_of(sound()[0]), "notice"
    )


def test_patients_are_counted_and_what_is_unclear_about_them_is_named() -> None:
    frame, _ = sound()
    frame["tumor"] = frame["label"]
    frame["patient"] = [f"p{row // 12}{label}" for row, label in enumerate(frame["label"])]
    report = report_of(frame)
    assert report.patients.n_patients == 20
    assert "The folders name 20 patients." in texts(report, "good")
    assert "patient" not in texts(report, "notice")
    frame.loc[:2, "patient"] = ["p", "p", None]
    unclear = texts(report_of(frame), "notice")
    assert "1 image lies directly in a class folder" in unclear
    assert "1 name of a patient occurs under several tumor types (number of types): p (2)." in unclear
