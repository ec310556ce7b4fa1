"""Slices of NIfTI volumes are those that nibabel gives in its canonical orientation."""

import gzip
import io
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import ornt_transform

from mri_model.data.decode import content_of
from mri_model.data.header import UndecodableError
from mri_model.data.medical.nifti import NiftiVolume
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.slices import Slice
from tests.data.medical.files import nifti

BUNDLED = Path(nibabel.__file__).parent / "tests" / "data"
VOLUMES = [BUNDLED / name for name in ("anatomical.nii", "standard.nii.gz", "reoriented_anat_moved.nii")]


def canonical(data: bytes) -> np.ndarray:
    """The volume by nibabel alone."""
    raw = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    image = nibabel.Nifti1Image.from_stream(io.BytesIO(raw))
    return np.asarray(nibabel.as_closest_canonical(image).dataobj)


@pytest.mark.parametrize("path", VOLUMES, ids=lambda path: path.name)
def test_each_slice_is_that_of_an_independent_reading(path: Path) -> None:
    data = path.read_bytes()
    whole = canonical(data)
    volume = NiftiVolume(data, "axial")
    assert volume.n_slices == whole.shape[2]
    for index in range(volume.n_slices):
        shown = volume.values(index)
        assert shown.shape == (whole.shape[1], whole.shape[0])  # the front above
        assert np.allclose(shown, whole[::-1, ::-1, index].T)  # the patient's right on the left


ORIENTATIONS = [(axes, flips) for axes in permutations(range(3)) for flips in product((1, -1), repeat=3)]


@pytest.mark.parametrize("zipped", [False, True])
def test_every_way_to_store_a_volume_gives_the_same_slices(zipped: bool) -> None:
    voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    expected = NiftiVolume(nifti(voxels), "axial")
    for axes, flips in ORIENTATIONS:
        wanted = np.column_stack([axes, flips])
        turn = ornt_transform(nibabel.io_orientation(np.eye(4)), wanted)
        image = nibabel.Nifti1Image(voxels, np.eye(4)).as_reoriented(turn)
        data = bytes(image.to_bytes())
        volume = NiftiVolume(gzip.compress(data) if zipped else data, "axial")
        for index in range(6):
            assert (volume.values(index) == expected.values(index)).all()


def test_planes_are_cut_along_the_axis_that_is_asked_for() -> None:
    voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    sizes = {
        axis: (NiftiVolume(nifti(voxels), axis).n_slices, NiftiVolume(nifti(voxels), axis).name(1))
        for axis in ("sagittal", "coronal", "axial")
    }
    assert sizes == {"sagittal": (4, "x=1"), "coronal": (5, "y=1"), "axial": (6, "z=1")}
    assert NiftiVolume(nifti(voxels), "sagittal").values(0).shape == (6, 5)  # the head above


def test_values_are_rescaled_and_a_stated_window_is_used() -> None:
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nibabel.Nifti1Image(voxels, np.eye(4))
    image.header.set_slope_inter(2, 5)
    image.header["cal_min"], image.header["cal_max"] = 10, 40
    volume = NiftiVolume(bytes(image.to_bytes()), "axial")
    assert volume.window == (10.0, 40.0)
    assert set(np.unique(volume.values(0))) == set(np.unique(voxels[:, :, 0] * 2.0 + 5))


def volume_of(shape: tuple[int, ...], dtype: type = np.int16) -> bytes:
    return nifti(np.zeros(shape, dtype))


PAIR = nibabel.Nifti1Pair(np.zeros((2, 2, 2), np.int16), np.eye(4)).header.binaryblock
HUGE = nibabel.Nifti1Header()
HUGE.set_data_shape((2000, 2000, 2000))
HUGE["magic"] = b"n+1"
NOISE = nifti(np.random.default_rng(0).integers(0, 999, (8, 8, 8), np.int16))
REFUSED = {
    "several volumes": (volume_of((4, 4, 4, 3)), r"more than one volume \(4×4×4×3\)"),
    "complex numbers": (volume_of((4, 4, 4), np.complex64), "colours or complex"),
    "header of a pair": (PAIR + bytes(100), "NIfTI pair"),
    "cut off": (volume_of((8, 8, 8))[:600], "truncated"),
    "cut off in gzip": (gzip.compress(NOISE)[:600], "cannot be unpacked"),
    "a bomb": (HUGE.binaryblock + bytes(4), "too large: 2000×2000×2000 voxels"),
    "a zipped bomb": (gzip.compress(HUGE.binaryblock + bytes(1 << 20)), "too large: 2000×2000×2000 voxels"),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_single_volume_is_rejected_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(UndecodableError, match=why):
        NiftiVolume(data, "axial")


def test_one_volume_in_four_dimensions_is_a_volume() -> None:
    assert NiftiVolume(volume_of((4, 5, 6, 1)), "axial").n_slices == 6


def test_each_file_that_nibabel_bundles_is_a_volume_or_has_a_reason() -> None:
    for file in sorted(BUNDLED.glob("*.nii*")):
        image = decode_slices(content_of(file.read_bytes()), [Slice("z=0", (0.0, 100.0))])[0]
        assert (image.pixels is None) == bool(image.reason)


def test_no_prefix_of_a_file_and_no_changed_byte_crashes() -> None:
    whole = volume_of((6, 6, 6))
    rng = np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(whole)
        for at in rng.integers(0, 352, 3):
            changed[at] = rng.integers(256)
        for data in (whole[: rng.integers(348, len(whole))], bytes(changed)):
            image = decode_slices(content_of(data), [Slice("z=1", (0.0, 100.0))])[0]
            assert (image.pixels is None) == bool(image.reason)


def test_values_that_are_not_finite_are_black() -> None:
    voxels = np.full((4, 4, 2), np.nan, np.float32)
    voxels[1:3, 1:3] = 120
    image = decode_slices(content_of(nifti(voxels)), [Slice("z=0", (0.0, 100.0))])[0]
    assert image.pixels is not None
    assert set(np.unique(image.pixels)) == {0, 255}
