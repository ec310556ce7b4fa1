"""What the files themselves tell: rejections, extensions, and size and format."""

import numpy as np

from mri_model.quality.file_shortcut import ProtocolShortcut
from mri_model.quality.rejected_files import reason_kind
from tests.quality.samples import pairs, quality_report, reject, sound, texts


def test_rejected_files_are_counted_by_kind_of_reason() -> None:
    frame, thumbnails = sound()
    frame = reject(frame, [0, 1], "unknown extension .txt")
    frame = reject(frame, [2], "folder 'x\ny' is no class of profile phantom")
    report = quality_report(frame, thumbnails, pairs())
    assert report.files.by_reason == {"unknown extension": 2, "folder is no class of the profile": 1}
    assert "3 of 120 files were rejected: unknown extension (2); folder is no" in texts(report, "notice")
    assert reason_kind("truncated: the end of the image is missing") == "truncated"


def test_many_rejected_files_are_a_serious_issue() -> None:
    frame, thumbnails = sound()
    report = quality_report(reject(frame, list(range(6)), "empty file"), thumbnails, pairs())
    assert "6 of 120 files were rejected: empty file (6)." in texts(report, "serious")


def test_without_rejected_files_the_report_says_so() -> None:
    assert "120 files found, all readable and accepted." in texts(quality_report(*sound(), pairs()), "good")


def test_an_extension_that_does_not_match_the_content_is_an_issue() -> None:
    frame, thumbnails = sound()
    frame.loc[0, "format"] = "PNG"
    frame.loc[1, "extension"] = ".JPG"
    report = quality_report(frame, thumbnails, pairs())
    assert report.extensions.wrong_by_kind == {".jpg holds PNG": 1}
    assert "1 file has an extension that does not match the content: .jpg holds PNG (1)." in texts(report, "notice")


def test_size_and_format_that_give_the_class_away_are_an_issue() -> None:
    frame, thumbnails = sound()
    frame["width"] = np.where(frame["label"] == "A", 64, 65)
    report = quality_report(frame, thumbnails, pairs())
    assert report.file_shortcut.protocols["grouped"] == ProtocolShortcut(40, 1.0, 0.5)
    assert (
        "without looking at the image, give the right class for 100 % of 40 test images of the grouped split. "
        "Always choosing the largest class would give 50 %." in texts(report, "serious")
    )
    assert "without looking" not in texts(quality_report(*sound(), pairs()))
