"""Classes from a table: what a line may name, which line decides, and errors that do not repeat its contents."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.inventory import Inventory, take_inventory
from mri_model.data.label_table import LABELS_FILE, find_label_table, parse_lines
from mri_model.data.manifest_writer import write_manifest
from mri_model.errors import MriError, RefusedError
from tests.data.medical.files import dicom, head, write
from tests.golden.pictures import encode, grey


def examination(root: Path, patient: str, series: str, folder: str = "", **elements: object) -> None:
    data = dicom(head(20), PatientID=patient, SeriesInstanceUID=series, **elements)
    write(root, f"{folder}{patient}-{series}", data)


def labels(root: Path, table: str, **options: object) -> dict[str, str | None]:
    write(root, LABELS_FILE, table.encode())
    frame = taken(root, **options).frame
    rows = frame[frame["path"] != LABELS_FILE]
    return dict(zip(rows["path"], rows["label"].where(rows["label"].notna(), None), strict=True))


def taken(root: Path, **options: object) -> Inventory:
    return take_inventory(root, **options)  # type: ignore[arg-type]


def test_patients_are_labelled_by_the_number_in_the_header_and_not_by_folder(tmp_path: Path) -> None:
    examination(tmp_path, "007", "1.1", "Wrong T2/")
    examination(tmp_path, "8", "1.2", "Wrong T2/")
    found = labels(tmp_path, "patient,tumor,contrast\n007,Glioma,t1c+\n8,Meningioma,T1\n")
    assert found == {"Wrong T2/007-1.1": "Glioma T1C+", "Wrong T2/8-1.2": "Meningioma T1"}


def test_a_series_comes_before_its_patient_and_a_missing_contrast_is_that_of_the_folder(tmp_path: Path) -> None:
    for series, folder in (("1.1", "T1/"), ("1.2", "T2/"), ("1.3", "other/")):
        examination(tmp_path, "7", series, folder)
    found = labels(tmp_path, "patient,series,tumor,contrast\n7,,Glioma,\n,1.3,Cyst,T2\n")
    assert found == {"T1/7-1.1": "Glioma T1", "T2/7-1.2": "Glioma T2", "other/7-1.3": "Cyst T2"}


def test_plain_images_are_labelled_by_file_or_by_the_nearest_folder(tmp_path: Path) -> None:
    for place, name in enumerate(("a/b/1.png", "a/2.png", "c/3.png")):
        write(tmp_path, name, encode(grey(place), "PNG"))
    found = labels(tmp_path, "path,tumor\na,Glioma\na/b,Cyst\nc/3.png,Cyst\n")
    assert found == {"a/2.png": "Glioma", "a/b/1.png": "Cyst", "c/3.png": "Cyst"}


def test_images_without_a_line_are_rejected_and_the_table_is_a_row_that_says_what_it_is(tmp_path: Path) -> None:
    examination(tmp_path, "7", "1.1")
    examination(tmp_path, "8", "1.2")
    assert labels(tmp_path, "patient,tumor\n7,Glioma\n") == {"7-1.1": "Glioma", "8-1.2": None}
    frame = taken(tmp_path).frame.set_index("path")
    assert frame["reason"][LABELS_FILE] == "the table of labels"
    assert frame["reason"]["8-1.2"] == "no line of labels.csv is about it"


def test_lines_that_are_about_nothing_here_are_named_by_number(tmp_path: Path) -> None:
    examination(tmp_path, "7", "1.1")
    labels(tmp_path, "patient,tumor\n07,Glioma\n7,Glioma\nSecret,Glioma\n")
    reason = taken(tmp_path).frame.set_index("path")["reason"][LABELS_FILE]
    assert reason == "the table of labels: 2 of its 3 lines are about no file here (lines 2, 4)"


def test_two_spellings_of_a_class_are_refused(tmp_path: Path) -> None:
    examination(tmp_path, "7", "1.1")
    examination(tmp_path, "8", "1.2")
    with pytest.raises(RefusedError, match="spell"):
        labels(tmp_path, "patient,tumor,contrast\n7,Glioma,T1\n8,glioma,T1\n")


def test_a_class_that_no_image_has_is_missed_by_the_learnt_profile(tmp_path: Path) -> None:
    examination(tmp_path, "7", "1.1")
    write(tmp_path, LABELS_FILE, b"patient,tumor,contrast\n7,Glioma,T1\n9,Cyst,T1\n")
    assert taken(tmp_path).profile.classes == {"Cyst T1": 1, "Glioma T1": 1}


def test_one_number_of_two_issuers_is_refused(tmp_path: Path) -> None:
    examination(tmp_path, "7", "1.1", IssuerOfPatientID="A")
    examination(tmp_path, "7", "1.2", IssuerOfPatientID="B")
    with pytest.raises(RefusedError, match=r"labels.csv, line 2: two patients"):
        labels(tmp_path, "patient,tumor\n7,Glioma\n")


def test_another_table_gives_another_manifest(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for number in range(4):
        examination(root, str(number), f"1.{number}")
    digests = set()
    for tumor in ("Glioma", "Cyst"):
        write(root, LABELS_FILE, f"patient,tumor\n0,{tumor}\n1,Other\n2,Other\n3,Other\n".encode())
        digests.add(write_manifest(taken(root), tmp_path / "manifests").digest)
    assert len(digests) == 2


BROKEN = {
    "no header": ("", "other columns"),
    "no tumor": ("patient,contrast\n1,T1\n", "other columns"),
    "nothing named": ("tumor\nGlioma\n", "other columns"),
    "an unknown column": ("patient,tumor,name\n1,Glioma,Secret\n", "other columns"),
    "the same column twice": ("patient,tumor,tumor\n1,A,B\n", "other columns"),
    "too few values": ("patient,tumor\nSecret\n", "line 2: 1 values for 2 columns"),
    "nobody": ("patient,tumor\n,Glioma\n", "line 2: exactly one of patient"),
    "two names": ("patient,series,tumor\nSecret,1.2,Glioma\n", "line 2: exactly one of series, patient"),
    "an empty tumor": ("patient,tumor\nSecret,\n", "line 2: the tumor is missing"),
    "an unknown contrast": ("patient,tumor,contrast\nSecret,Glioma,FLAIR\n", "line 2: the contrast is none of"),
    "the same patient twice": ("patient,tumor\nSecret,A\n\nSecret,B\n", "line 4: an earlier line"),
    "another encoding": ("patient,tumor\n\xe9,A\n", "UTF-8"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=list(BROKEN))
def test_errors_name_the_line_and_not_what_it_holds(text: str, why: str) -> None:
    with pytest.raises(MriError, match=why) as caught:
        list(parse_lines("labels.csv", text.encode("latin-1")))
    assert "Secret" not in f"{caught.value} {caught.value.hint}"


def test_a_table_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MriError, match="No such file"):
        find_label_table(tmp_path, tmp_path / "no.csv")
    assert find_label_table(tmp_path, None) is None


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_an_error(text: str) -> None:
    try:
        lines = list(parse_lines("labels.csv", text.encode("utf-8", "surrogatepass")))
    except MriError:
        return
    assert all(line.value and line.tumor for line in lines)
