"""The phantom in NIfTI: several orientations of the same anatomy, names of BIDS, and the same bytes again."""

import hashlib
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_model.data.phantom_nifti import ORIENTATIONS, write_nifti_phantom
from mri_model.data.phantom_volumes import all_series


def _digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom") / "nifti"
    assert write_nifti_phantom(root, per_tumor=1) == 14
    return root


@pytest.fixture(scope="module")
def images(root: Path) -> dict[Path, nib.Nifti1Image]:
    return {path.relative_to(root): nib.load(path) for path in sorted(root.rglob("*.nii*"))}


def test_names_are_those_of_bids(images: dict[Path, nib.Nifti1Image]) -> None:
    assert Path("Meningioma T1C+/sub-005/sub-005_ce-GAD_T1w.nii.gz") in images
    assert Path("_NORMAL T1/sub-007/sub-007_T1w.nii.gz") in images
    for path in images:
        assert re.fullmatch(r"(sub-\d{3})_(ce-GAD_T1w|T1w|T2w)\.nii(\.gz)?", path.name)
        assert path.parts[1] == path.name[:7]
    assert sum(path.suffix == ".nii" for path in images) == 1


def test_each_patient_is_in_the_folders_of_both_contrasts(images: dict[Path, nib.Nifti1Image]) -> None:
    folders: dict[str, set[str]] = {}
    for path in images:
        folders.setdefault(path.parts[1], set()).add(path.parts[0])
    assert len(folders) == 7
    assert all(len(names) == 2 for names in folders.values())


def test_files_differ_in_orientation_and_agree_in_the_closest_canonical_one(
    images: dict[Path, nib.Nifti1Image],
) -> None:
    assert {"".join(nib.aff2axcodes(image.affine)) for image in images.values()} == set(ORIENTATIONS)
    series = {(one.folder, f"sub-{one.patient.number:03d}"): one for one in all_series(1, 0)}
    for path, image in images.items():
        canonical = nib.as_closest_canonical(image)
        values = np.asarray(canonical.dataobj)
        assert image.get_data_dtype() == np.int16
        assert nib.aff2axcodes(canonical.affine) == ("R", "A", "S")
        assert np.allclose(canonical.header.get_zooms(), (1.25, 1.25, 12))
        drawn = series[path.parts[:2]].volume()
        shown = values[::-1, ::-1].transpose(2, 1, 0)  # back to slices with the front up and the left side right
        white = values.max() / drawn.max()
        assert np.abs(shown - drawn * white).max() <= 1.5


def test_the_middle_of_the_volume_is_the_origin(images: dict[Path, nib.Nifti1Image]) -> None:
    for image in images.values():
        middle = (np.array(image.shape) - 1) / 2
        assert np.allclose(nib.affines.apply_affine(image.affine, middle), 0, atol=1e-3)
        assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-3)


def test_some_volumes_are_oblique(images: dict[Path, nib.Nifti1Image]) -> None:
    tilted = [np.rad2deg(nib.affines.obliquity(image.affine).max()) > 1 for image in images.values()]
    assert True in tilted and False in tilted


def test_same_seed_same_bytes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    write_nifti_phantom(tmp_path / "again", per_tumor=1)
    assert _digests(tmp_path / "again") == _digests(root)


def test_another_seed_gives_other_bytes(root: Path, tmp_path: Path) -> None:
    write_nifti_phantom(tmp_path / "other", per_tumor=1, seed=1)
    assert not set(_digests(root).values()) & set(_digests(tmp_path / "other").values())
