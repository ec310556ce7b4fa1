"""Exact and near duplicates, and duplicates under different labels."""

import numpy as np

from mri_model.quality.conflicts import LabeledFile
from tests.quality.samples import DEGENERATE, noise, pairs, quality_report, table, texts


def test_duplicates_are_counted_once_by_the_closest_kind() -> None:
    frame = table(["A"] * 6, ["train"] * 6, sha256=list("aabcde"), n_near_duplicates=[3, 3, 3, 3, 1, 1])
    thumbnails = np.concatenate([np.repeat(noise(1), 3, axis=0), noise(3, seed=1)])
    found = pairs((0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (0, 3, 0.96), (4, 5, 0.95))
    without = quality_report(frame, thumbnails, found).duplicates
    assert (without.same_bytes_pairs, without.same_pixels_pairs, without.near_duplicate_pairs) == (1, None, 4)
    frame["pixel_crc32"] = ["0f", "0f", "0f", "0f", None, None]  # 3 has another thumbnail: a collision
    report = quality_report(frame, thumbnails, found)
    known = report.duplicates
    assert (known.same_bytes_pairs, known.same_pixels_pairs, known.near_duplicate_pairs) == (1, 2, 2)
    assert (
        "1 pair of files is identical byte for byte; 2 pairs of files hold the same pixels in different bytes."
        in texts(report, "notice")
    )


def test_conflicts_list_every_set_with_its_paths_and_labels() -> None:
    frame = table(["A", "B", "A", "C", "A", "B"], ["train"] * 6, sha256=list("aabcde"))
    frame["conflict"] = [True, True, True, True, False, False]
    report = quality_report(frame, noise(6), pairs((2, 3, 0.9995), (4, 5, 0.97)))
    assert report.conflicts.sets == (
        (LabeledFile("A/0.jpg", "A"), LabeledFile("B/1.jpg", "B")),
        (LabeledFile("A/2.jpg", "A"), LabeledFile("C/3.jpg", "C")),
    )
    assert "2 images are in two classes at once (4 files)." in texts(report, "serious")


def test_one_image_in_every_file_is_one_conflict() -> None:
    report = quality_report(*DEGENERATE["all identical"])
    assert "1 image is in two classes at once (120 files)." in texts(report, "serious")
