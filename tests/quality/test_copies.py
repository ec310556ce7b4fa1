"""Mirrored, turned and augmented copies in the report."""

import numpy as np

from mri_model.data.comparison import compare_images
from mri_model.quality.dataset import DataSet
from mri_model.quality.leakage import ImageShare
from mri_model.quality.report import QualityReport, quality_report
from tests.data.test_augmented_names import augmented, head
from tests.data.test_same_source import fingerprints
from tests.quality.samples import table, texts


def reported(images: list[np.ndarray], splits: list[str], names: list[str], random: list[str]) -> QualityReport:
    frame = table(["A"] * len(images), list(splits), path=names, split_random=random)
    found = fingerprints([np.ascontiguousarray(image) for image in images])
    compared = compare_images(frame, found)
    return quality_report(DataSet(compared.frame, found, compared.near_duplicates, compared.agreements))


def test_mirrored_and_turned_copies_are_counted_per_split() -> None:
    originals = [head(seed) for seed in range(8)]
    images = [*originals, originals[0][:, ::-1], np.rot90(originals[1]), originals[2]]  # the last one is no turned copy
    names = [f"A/{letter}.png" for letter in "abcdefghijk"]
    random = ["train"] * 8 + ["test"] * 3
    report = reported(images, ["train"] * 11, names, random)
    assert report.copies.turned.n == 4
    assert report.copies.turned.in_train == {"random": ImageShare(2, 0.666667), "grouped": ImageShare(0, None)}
    claim = "4 images have a mirrored or turned copy. Test images with such a copy in training: 2 (random split), 0"
    assert claim in texts(report, "notice")
    assert report.copies.augmented.n == 0 and "augmented copies beside" not in texts(report)


def test_augmented_copies_beside_their_originals_are_a_serious_issue() -> None:
    originals = [head(seed) for seed in range(8)]
    images = [*originals, augmented(originals[0], 8, 0), augmented(originals[0], -8, 0), augmented(originals[1], 8, 0)]
    names = [*(f"A/{seed} no.jpeg" for seed in range(8)), "A/aug_0 no_0_77.jpg", "A/aug_0 no_1.jpg", "A/1 no_rot8.jpg"]
    random = ["test", "test", *["train"] * 8, "val"]
    report = reported(images, ["train"] * 11, names, random)
    assert report.copies.augmented.n == 5
    # 0 and its copies: in test and in training; 1 and its copy: in test and in validation
    assert report.copies.augmented.in_train["random"] == ImageShare(1, 0.5)
    serious = texts(report, "serious")
    assert "holds augmented copies beside their originals: 5 files by name and picture." in serious
    assert "is in training: 50 % (random split), 0 % (grouped split)." in serious


def test_a_set_without_accepted_images_has_no_copies() -> None:
    frame = table(["A"] * 2, ["train"] * 2).assign(status="rejected")
    found = fingerprints([head(0), head(1)])
    compared = compare_images(frame, found)
    data = DataSet(compared.frame, found, compared.near_duplicates, compared.agreements)
    assert quality_report(data).copies.turned.n == 0
