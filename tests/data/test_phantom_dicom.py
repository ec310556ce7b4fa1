"""The phantom in DICOM: valid files, shared patients, the special files, and the same bytes again."""

import hashlib
from collections import Counter
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.fileset import FileSet

from mri_model.data.phantom_dicom import write_dicom_phantom
from mri_model.data.phantom_volumes import Series, all_series

SERIES = {(one.folder, f"series-{one.number}"): one for one in all_series(1, 0)}


def _digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom") / "dicom"
    assert write_dicom_phantom(root, per_tumor=1) == 13 * 12 + 3  # with one multi-frame, a localizer and a DICOMDIR
    assert len(_digests(root)) == 13 * 12 + 3
    return root


@pytest.fixture(scope="module")
def files(root: Path) -> dict[Path, FileDataset]:
    """Every image file; by its path below the root."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "DICOMDIR")
    return {path.relative_to(root): pydicom.dcmread(path) for path in found}


@pytest.fixture(scope="module")
def volumes(files: dict[Path, FileDataset]) -> dict[Path, list[FileDataset]]:
    """The classic files of every series of slices, sorted by position from base to top; by folder."""
    folders: dict[Path, list[FileDataset]] = {}
    for path, dataset in files.items():
        if "LOCALIZER" not in dataset.ImageType and "NumberOfFrames" not in dataset:
            folders.setdefault(path.parent, []).append(dataset)
    return {folder: sorted(found, key=lambda d: d.ImagePositionPatient[2]) for folder, found in folders.items()}


def _drawn(folder: Path) -> np.ndarray:
    """The volume that a series shows, in the unit of its window."""
    series: Series = SERIES[folder.parts[0], folder.parts[-1]]
    return series.volume() * float(np.random.default_rng([*series.key, 7]).integers(500, 1800))


def test_every_file_reads_back_with_the_drawn_values(volumes: dict[Path, list[FileDataset]]) -> None:
    assert len(volumes) == 13
    for folder, slices in volumes.items():
        assert len(slices) == 12
        for dataset, drawn in zip(slices, _drawn(folder), strict=True):
            image = highdicom.Image.from_dataset(dataset)
            values = image.get_frame(1, apply_modality_transform=None, apply_voi_transform=False)
            if dataset.PhotometricInterpretation == "MONOCHROME1":
                values = 2**dataset.BitsStored - 1 - image.get_stored_frame(1)
            assert np.abs(values - drawn).max() <= 0.51 * float(dataset.get("RescaleSlope", 1))


def test_files_are_classic_mr_images_with_the_geometry_of_their_slice(volumes: dict[Path, list[FileDataset]]) -> None:
    for slices in volumes.values():
        for dataset in slices:
            assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == uid.MRImageStorage
            assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
            assert dataset.SOPInstanceUID.startswith(uid.PYDICOM_ROOT_UID)
            assert dataset.SliceThickness == 6
            assert list(dataset.PixelSpacing) == [1.25, 1.25]
            assert dataset.EchoTime and dataset.RepetitionTime and dataset.SeriesDescription
        assert len({dataset.SeriesInstanceUID for dataset in slices}) == 1
        normal = np.cross(*np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float))
        along = [float(np.dot(normal, np.array(d.ImagePositionPatient, float))) for d in slices]
        assert np.allclose(np.diff(along), 12, atol=1e-3)


def test_uids_of_instances_are_unique(files: dict[Path, FileDataset]) -> None:
    assert set(Counter(dataset.SOPInstanceUID for dataset in files.values()).values()) == {1}


def test_each_patient_is_in_the_folders_of_both_contrasts(files: dict[Path, FileDataset]) -> None:
    folders: dict[tuple[str, str], set[str]] = {}
    for path, dataset in files.items():
        folders.setdefault((dataset.PatientID, dataset.IssuerOfPatientID), set()).add(path.parts[0])
        assert dataset.PatientID == f"PHANTOM-0-{path.parts[1].removeprefix('patient-')}"
    assert len(folders) == 7
    assert all(len(names) == 2 for names in folders.values())
    assert folders["PHANTOM-0-005", "PHANTOM"] == {"Meningioma T1C+", "Meningioma T2"}


def test_the_header_agrees_with_the_contrast_of_the_folder(files: dict[Path, FileDataset]) -> None:
    for path, dataset in files.items():
        contrast = path.parts[0].split()[-1]
        assert ("ContrastBolusAgent" in dataset) == (contrast == "T1C+")
        if "NumberOfFrames" not in dataset:
            assert (dataset.EchoTime > 80) == (dataset.RepetitionTime > 2000) == (contrast == "T2")


def test_special_files_exist(files: dict[Path, FileDataset]) -> None:
    datasets = list(files.values())
    assert [d for d in datasets if "LOCALIZER" in d.ImageType]
    assert {12, 16} == {d.BitsStored for d in datasets}
    assert {"MONOCHROME1", "MONOCHROME2"} == {d.PhotometricInterpretation for d in datasets}
    assert {d.file_meta.TransferSyntaxUID for d in datasets} == {
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    }
    assert {"", ".dcm"} == {path.suffix for path in files}
    for keyword in ("WindowCenter", "RescaleSlope", "BurnedInAnnotation"):
        present = [keyword in d for d in datasets if "NumberOfFrames" not in d]
        assert True in present and False in present
    assert {d.get("BurnedInAnnotation") for d in datasets} == {"NO", None}


def test_some_series_are_numbered_from_top_to_base(volumes: dict[Path, list[FileDataset]]) -> None:
    first = {slices[0].InstanceNumber for slices in volumes.values()}
    assert first == {1, 12}


def test_monochrome1_shows_the_same_picture_as_monochrome2(volumes: dict[Path, list[FileDataset]]) -> None:
    inverted = {f: slices for f, slices in volumes.items() if slices[0].PhotometricInterpretation == "MONOCHROME1"}
    assert len(inverted) == 1
    for folder, slices in inverted.items():
        shown = highdicom.Image.from_dataset(slices[6]).get_frame(1, apply_voi_transform=True)
        drawn = _drawn(folder)[6]
        white = 2 * (65535 - float(slices[6].WindowCenter))
        assert np.abs(shown - np.clip(drawn / white, 0, 1)).max() < 0.01


def test_the_multi_frame_file_has_a_rescale_for_each_frame(files: dict[Path, FileDataset]) -> None:
    (path,) = (path for path, dataset in files.items() if "NumberOfFrames" in dataset)
    dataset, drawn = files[path], _drawn(path.parent)
    assert dataset.SOPClassUID == uid.EnhancedMRImageStorage
    groups = dataset.PerFrameFunctionalGroupsSequence
    assert len({item.PixelValueTransformationSequence[0].RescaleSlope for item in groups}) > 6
    image = highdicom.Image.from_dataset(dataset)
    for k, item in enumerate(groups):
        slope = float(item.PixelValueTransformationSequence[0].RescaleSlope)
        values = image.get_frame(k + 1, apply_modality_transform=True, apply_voi_transform=False)
        assert np.abs(values - drawn[k]).max() <= 0.51 * slope
    assert np.allclose(image.get_volume_geometry().spacing, (12, 1.25, 1.25), atol=1e-3)


def test_the_dicomdir_leads_to_the_files_beside_it(root: Path) -> None:
    (directory,) = root.rglob("DICOMDIR")
    found = {Path(instance.path) for instance in FileSet(directory)}
    assert found == {path for path in directory.parent.iterdir() if path != directory}
    assert len(found) == 12


def test_same_seed_same_bytes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    write_dicom_phantom(tmp_path / "again", per_tumor=1)
    assert _digests(tmp_path / "again") == _digests(root)


def test_another_seed_has_other_patients(root: Path, files: dict[Path, FileDataset], tmp_path: Path) -> None:
    write_dicom_phantom(tmp_path / "other", per_tumor=1, seed=1)
    other = [pydicom.dcmread(path, stop_before_pixels=True) for path in tmp_path.rglob("IM*")]
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert not {d[keyword].value for d in other} & {d[keyword].value for d in files.values()}
    assert not set(_digests(root).values()) & set(_digests(tmp_path / "other").values())
