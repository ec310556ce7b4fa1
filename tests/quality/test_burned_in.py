"""Text that may be burned into the pixels of DICOM files."""

import pandas as pd

from mri_model.quality.burned_in import BurnedIn
from mri_model.quality.report import QualityReport
from tests.quality.samples import noise, pairs, quality_report, reject, sound, texts


def report_of(frame: pd.DataFrame) -> QualityReport:
    return quality_report(frame, noise(len(frame)), pairs())


def dicom() -> pd.DataFrame:
    """Six DICOM files, of which one has two frames."""
    frame, _ = sound(12)
    frame.loc[:6, "format"] = "DICOM"
    frame["series"] = [f"s{row}" if row < 7 else None for row in range(12)]
    frame.loc[:6, "path"] = ["a.dcm", "b.dcm#frame=3", "b.dcm#frame=12", "c.dcm", "d.dcm", "e.dcm", "f.dcm"]
    frame["burned_in"] = ["yes", "no", "no", "missing", None, "missing", "no", *[None] * 5]
    return frame


def test_files_are_counted_by_what_they_say_about_burned_in_text() -> None:
    report = report_of(dicom())
    assert report.burned_in == BurnedIn(yes=1, missing=3, no=2)
    told = (
        "Of 6 DICOM files, 1 says that text is burned into the pixels, 3 do not say, 2 say that there is none. Such "
        "text may hold names. This program does not read it and cannot exclude it, whatever a header says."
    )
    assert told in texts(report, "notice")


def test_rejected_files_are_not_counted() -> None:
    assert report_of(reject(dicom(), [0, 3], "no pixel data")).burned_in == BurnedIn(yes=0, missing=2, no=2)


def test_without_dicom_files_nothing_is_said() -> None:
    frame, _ = sound(12)
    for other in (frame, frame.assign(format="NIfTI", series="s", burned_in=None)):
        report = report_of(other)
        assert report.burned_in == BurnedIn(0, 0, 0)
        assert "burned" not in texts(report)
