"""Which pictures of DICOM and NIfTI files become images, and what is known of them."""

import io
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from mri_model.data.decode import content_of
from mri_model.data.listing import list_files
from mri_model.data.medical import look
from mri_model.data.medical import survey as module
from mri_model.data.medical.choice import LEFT_OUT, SliceChoice, choose
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.slices import Slice
from mri_model.data.medical.survey import Picture, survey
from mri_model.data.medical.window import levels, percentile_window, share_above
from mri_model.data.preprocessing import BRIGHT
from mri_model.data.pseudonyms import Pseudonyms
from tests.data.medical.files import SAGITTAL, dicom, head, nifti, volume, write

KEY = Pseudonyms()
WINDOW = {"WindowCenter": 500, "WindowWidth": 1000}
SIDES = [0, 0, 6, 12, 20, 24, 28, 28, 24, 20, 12, 6, 0, 0]


def pictures(folder: Path, choice: SliceChoice = SliceChoice()) -> dict[str, Picture]:  # noqa: B008
    found = survey(list_files(folder), KEY, choice)
    return {each.path: each for file in found.values() for each in file.pictures}


def chosen(folder: Path, choice: SliceChoice = SliceChoice()) -> list[str]:  # noqa: B008
    return sorted(path for path, each in pictures(folder, choice).items() if not each.reason)


def write_series(folder: Path, sides: list[int] = SIDES, **elements: object) -> None:
    """One file for each slice; the names say the position, in an order that nothing else follows."""
    for position, side in enumerate(sides):
        name = f"{(position * 5) % len(sides):02d}-at-{position:02d}.dcm"
        write(folder, name, dicom(head(side), float(position), **{**WINDOW, **elements}))


@pytest.mark.parametrize("step", [1, 3])
def test_the_central_slices_of_the_head_are_taken_by_position_not_by_name(tmp_path: Path, step: int) -> None:
    write_series(tmp_path)
    places = [int(path[-6:-4]) for path in chosen(tmp_path, SliceChoice(most=6 // step))]
    assert sorted(places) == list(range(4, 10)[(6 - 1) % step // 2 :: step]) if step == 1 else len(places) == 2
    reasons = {each.reason for each in pictures(tmp_path).values() if each.reason}
    assert reasons == {f"{LEFT_OUT}: outside the central 60 % of the head"}


def test_a_series_in_several_folders_is_one_volume(tmp_path: Path) -> None:
    write_series(tmp_path / "all")
    whole = {path.rpartition("/")[2] for path in chosen(tmp_path)}
    for number, file in enumerate(sorted((tmp_path / "all").iterdir())):
        write(tmp_path, f"{number % 3}/{file.name}", file.read_bytes())
        file.unlink()
    assert {path.rpartition("/")[2] for path in chosen(tmp_path)} == whole


def test_the_same_series_number_of_two_patients_makes_two_volumes(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", PatientID="P2")
    found = pictures(tmp_path)
    assert len({each.source.patient for each in found.values()}) == 2
    assert len(chosen(tmp_path)) == 2 * len(chosen(tmp_path / "a"))


def test_without_a_window_in_the_file_the_volume_has_one_by_its_percentiles(tmp_path: Path) -> None:
    write_series(tmp_path, WindowCenter=None, WindowWidth=None)
    windows = {each.slice.window for each in pictures(tmp_path).values()}
    values = np.concatenate([head(side).ravel() for side in SIDES])
    ((low, high),) = windows
    assert low == 0
    assert high == pytest.approx(np.percentile(values, 99.5), rel=0.01)


def test_inverted_images_have_the_same_head(tmp_path: Path) -> None:
    for folder, kind in (("plain", "MONOCHROME2"), ("inverted", "MONOCHROME1")):
        for position, side in enumerate(SIDES):
            pixels = head(side) if kind == "MONOCHROME2" else 2000 - head(side)
            data = dicom(pixels, float(position), SeriesInstanceUID=folder, PhotometricInterpretation=kind)
            write(tmp_path / folder, f"{position:02d}.dcm", data)
    names = [[path.rpartition("/")[2] for path in chosen(tmp_path / folder)] for folder in ("plain", "inverted")]
    assert names[0] == names[1]


def test_other_planes_are_rejected_with_the_plane_unless_they_are_asked_for(tmp_path: Path) -> None:
    write_series(tmp_path, ImageOrientationPatient=SAGITTAL)
    for number, file in enumerate(sorted(tmp_path.iterdir())):
        place = {"ImagePositionPatient": [number, 0, 0], "ImageOrientationPatient": SAGITTAL}
        file.write_bytes(dicom(head(20), **place, **WINDOW))
    assert {each.reason for each in pictures(tmp_path).values()} == {
        "a series of sagittal slices: axial ones are taken"
    }
    assert chosen(tmp_path, SliceChoice(axis="sagittal"))


def test_slices_of_several_planes_are_a_localizer(tmp_path: Path) -> None:
    write(tmp_path, "a.dcm", dicom(head(20), 0.0))
    write(tmp_path, "b.dcm", dicom(head(20), ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=SAGITTAL))
    assert {each.reason for each in pictures(tmp_path).values()} == {"a localizer: a series of several planes"}


def test_images_without_a_position_are_images_as_they_are(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path, f"{number}.dcm", dicom(head(20), InstanceNumber=number))
    assert len(chosen(tmp_path)) == 30


def test_a_file_with_several_frames_is_a_volume_of_its_own(tmp_path: Path) -> None:
    frames = np.concatenate(volume(SIDES))
    data = dicom(frames, Rows=32, NumberOfFrames=len(SIDES), **WINDOW)
    write(tmp_path, "a.dcm", data)
    write(tmp_path, "b", data)
    assert chosen(tmp_path) == [f"{name}#frame={n}" for name in ("a.dcm", "b") for n in (10, 5, 6, 7, 8, 9)]
    assert {each.path for each in pictures(tmp_path).values()} == set(chosen(tmp_path))


def test_a_volume_gives_at_most_the_wanted_number_of_slices(tmp_path: Path) -> None:
    voxels = np.zeros((32, 32, 60), np.int16)
    voxels[8:24, 8:24, 5:55] = 500
    write(tmp_path, "sub-07_T1w.nii", nifti(voxels))
    assert chosen(tmp_path)[0] == "sub-07_T1w.nii#z=15"
    assert len(chosen(tmp_path)) == 15
    assert len(chosen(tmp_path, SliceChoice(central=1))) == 17
    assert {each.source.patient for each in pictures(tmp_path).values()} == {"sub-07"}


@pytest.mark.parametrize("name", ["sub-01_dseg.nii.gz", "BraTS_001_seg.nii", "a_mask.nii"])
def test_segmentations_are_recognized_by_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, nifti(np.zeros((4, 4, 4), np.int16)))
    (found,) = pictures(tmp_path).values()
    assert found.reason == "a segmentation, by its name"


def test_identifiers_leave_as_keyed_hashes_and_a_study_stands_for_a_missing_patient(tmp_path: Path) -> None:
    named = {"a": {}, "b": {"IssuerOfPatientID": "X"}, "c": {"PatientID": None}, "d": {"PatientID": "Anonymous"}}
    for name, elements in named.items():
        write(tmp_path, name, dicom(head(20), SeriesInstanceUID=name, **elements))
    found = pictures(tmp_path)
    patients = {name: found[name].source.patient for name in named}
    assert patients["c"] == patients["d"]
    assert len(set(patients.values())) == 3
    assert all(len(str(each)) == 20 for each in patients.values())
    again = {each.path: each for file in survey(list_files(tmp_path), Pseudonyms()).values() for each in file.pictures}
    assert again["a"].source.patient != patients["a"]


def test_plain_images_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.jpg", dicom(head(20)))
    monkeypatch.setattr(module, "read_start", lambda file: pytest.fail(f"{file!r} was opened"))
    assert pictures(tmp_path) == {}


def test_without_the_packages_the_reason_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.dcm", dicom(head(20)))
    write(tmp_path, "b.nii", nifti(np.zeros((4, 4, 4), np.int16)))
    monkeypatch.setattr(look, "is_installed", lambda kind: False)
    assert {each.reason for each in pictures(tmp_path).values()} == {
        f"a {kind} file: to read it, pip install '.[dicom]'" for kind in ("DICOM", "NIfTI")
    }


def test_a_name_that_ends_like_that_of_a_slice_is_rejected(tmp_path: Path) -> None:
    write(tmp_path, "a.dcm#frame=1", dicom(head(20)))
    (found,) = pictures(tmp_path).values()
    assert "rename" in str(found.reason)


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=200),
    st.floats(0.01, 1),
    st.integers(1, 40),
)
def test_chosen_slices_are_evenly_spaced_and_central(bright: list[float], central: float, most: int) -> None:
    reasons = choose(bright, SliceChoice(central=central, most=most))
    at = [index for index, reason in enumerate(reasons) if reason is None]
    assert 1 <= len(at) <= most
    assert len(set(np.diff(at))) <= 1
    shown = [index for index, share in enumerate(bright) if share > 0.02] or list(range(len(bright)))
    assert shown[0] <= at[0] and at[-1] <= shown[-1]
    extent = shown[-1] - shown[0] + 1
    if len(at) > 1:
        assert max(abs((index + 0.5 - shown[0]) / extent - 0.5) for index in at) <= central / 2


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_levels_tell_the_share_of_bright_pixels(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(1.0, 200.0, (50, 50))
    window = percentile_window([levels(values)])
    grey = (values - window[0]) / (window[1] - window[0]) * 255
    assert share_above(levels(values), window, BRIGHT) == pytest.approx((grey > BRIGHT + 0.5).mean(), abs=0.01)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The contents that were looked into, by SHA-256."""
    seen: list[str] = []
    look_into = module.look_into

    def counted(*arguments: Any) -> look.Look:
        seen.append(arguments[1].sha256)
        return look_into(*arguments)

    monkeypatch.setattr(module, "look_into", counted)
    return seen


def test_a_file_is_looked_into_once_for_each_axis_and_key(tmp_path: Path, looked: list[str]) -> None:
    data, cache, key = tmp_path / "data", tmp_path / "cache", Pseudonyms(tmp_path / "key")
    write_series(data, WindowCenter=None, WindowWidth=None)
    write(data, "sub-1.nii", nifti(np.ones((4, 4, 4), np.int16)))
    files = list_files(data)
    plain = survey(files, key)
    looked.clear()
    assert survey(files, key, cache=cache) == plain
    assert len(looked) == len(files)
    assert survey(files, key, cache=cache) == plain
    assert len(looked) == len(files)
    survey(files, key, SliceChoice("coronal"), cache=cache)
    survey(files, Pseudonyms(tmp_path / "other"), cache=cache)
    assert len(looked) == 3 * len(files)


def test_a_damaged_row_of_the_cache_is_looked_into_again(tmp_path: Path, looked: list[str]) -> None:
    data, cache, key = tmp_path / "data", tmp_path / "cache", Pseudonyms(tmp_path / "key")
    write_series(data)
    plain = survey(list_files(data), key, cache=cache)
    with sqlite3.connect(next(cache.glob("*.sqlite"))) as database:
        database.execute("UPDATE looks SET look = '{}' WHERE rowid < 4")
        database.execute("UPDATE looks SET look = 'no JSON' WHERE rowid = 5")
    looked.clear()
    assert survey(list_files(data), key, cache=cache) == plain
    assert len(looked) == 4


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("slope", [1, 2.5])
def test_the_share_of_bright_pixels_is_that_of_the_decoded_image(kind: str, function: str, slope: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 1000, (32, 32))
    elements = {"PhotometricInterpretation": kind, "VOILUTFunction": function, "RescaleSlope": slope}
    data = dicom(pixels, 0.0, **WINDOW, **elements, RescaleIntercept=-200)
    (frame,) = look.look_into("DICOM", content_of(data), "axial", KEY).frames
    (image,) = decode_slices(content_of(data), [Slice("", None)])
    assert image.pixels is not None
    assert frame.bright == pytest.approx((image.pixels[:, :, 0] > BRIGHT).mean(), abs=1e-9)


ODD_VALUES = [b"SECRET", b"1\\2", b"", b"1e999", b"nan", b"-", b"\xff\xfe"]


@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "BitsStored"])
def test_a_header_with_values_that_are_no_numbers_gives_an_image_or_a_reason(tmp_path: Path, name: str) -> None:
    tag = Tag(tag_for_keyword(name) or 0)
    for number, value in enumerate(ODD_VALUES):
        padded = value + b" " * (len(value) % 2)
        dataset = pydicom.dcmread(io.BytesIO(dicom(head(20), float(number), **WINDOW, RescaleSlope=2)))
        kind = "US" if name == "BitsStored" else "DS"
        dataset._dict[tag] = RawDataElement(tag, kind, len(padded), padded, 0, False, True)
        dataset.SeriesInstanceUID = f"1.{number}"
        file = io.BytesIO()
        dataset.save_as(file)
        write(tmp_path, f"{number}.dcm", file.getvalue())
    found = survey(list_files(tmp_path), KEY)
    assert len(found) == len(ODD_VALUES)
    for each in found.values():
        (picture,) = each.pictures
        content = content_of((tmp_path / picture.path).read_bytes())
        image = decode_slices(content, [picture.slice])[0]
        assert "SECRET" not in f"{picture.reason} {image.reason}"
        assert picture.reason or image.reason or image.pixels is not None


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_blank_volumes_are_rejected(tmp_path: Path, value: float) -> None:
    write(tmp_path, "a.nii", nifti(np.full((8, 8, 8), value, np.float32)))
    (found,) = pictures(tmp_path).values()
    assert found.reason == "blank: nearly all of its values are equal"
