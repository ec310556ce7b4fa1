"""What the report says about patients whom the files name."""

import pandas as pd

from mri_model.quality.report import QualityReport
from tests.quality.samples import certain, noise, pairs, quality_report, reject, texts


def report_of(frame: pd.DataFrame) -> QualityReport:
    return quality_report(frame, noise(len(frame)), pairs())


def test_the_report_says_patient_level_if_every_image_has_a_certain_patient() -> None:
    report = report_of(certain())
    assert report.patients.is_patient_level
    told = "The grouped split is patient-level: 120 images of 24 patients, no patient in two of its splits."
    assert told in texts(report, "good")
    assert "patient" not in texts(report, "notice") + texts(report, "serious")


def test_one_image_without_a_patient_makes_the_split_not_patient_level() -> None:
    frame = certain()
    frame.loc[7, "patient"] = None
    report = report_of(frame)
    assert not report.patients.is_patient_level
    told = "The grouped split is not patient-level: 1 of 120 images has no certain patient."
    assert told in texts(report, "notice")
    assert "is patient-level" not in texts(report)


def test_the_name_of_a_folder_is_no_certain_patient() -> None:
    frame = certain()
    frame.loc[:9, "series"] = None
    report = report_of(frame)
    assert (report.patients.n_certain, report.patients.without) == (110, 0)
    assert "is not patient-level: 10 of 120 images have no certain patient." in texts(report, "notice")
    folders = report_of(frame.assign(series=None))
    assert "patient-level" not in texts(folders) and "The folders name 24 patients." in texts(folders, "good")


def test_rejected_files_without_a_patient_do_not_matter() -> None:
    frame = certain()
    frame.loc[7, ["patient", "series"]] = None
    assert report_of(reject(frame, [7], "no pixel data")).patients.is_patient_level


def test_a_certain_patient_with_several_tumor_types_is_a_question_about_labels() -> None:
    frame = certain()
    frame.loc[frame["patient"] == "trainB0", "patient"] = "trainA0"
    report = report_of(frame)
    assert report.patients.tumors == {"trainA0": 2} and not report.patients.shared
    noted = texts(report, "notice")
    assert "1 patient has images of several tumor types (number of types): trainA0 (2)." in noted
    assert "some of these labels may be wrong" in noted and "name of a patient" not in noted
    assert report.patients.is_patient_level


def test_a_patient_in_two_grouped_splits_is_serious_and_not_patient_level() -> None:
    frame = certain()
    frame.loc[frame["patient"] == "testA0", "patient"] = "trainA0"
    report = report_of(frame)
    assert not report.patients.is_patient_level
    assert "is not patient-level: 1 patient is in more than one split." in texts(report, "serious")
