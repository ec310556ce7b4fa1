"""The phantom in NIfTI: one file per series, with the names of BIDS.

Needs the optional extra ``dicom``, so it is imported where it is used. The files differ in orientation, as converters
write them.
"""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, ornt_transform

from mri_model.data.phantom_volumes import (
    PIXEL_MM,
    SPACING_MM,
    Series,
    all_series,
    corner,
    slice_axes,
    write_series,
)
from mri_model.files import atomic
from mri_model.progress import ProgressCallback, no_progress

ORIENTATIONS = ("LAS", "RAS", "LPS", "PSR", "ASL")
"""Directions in which the three indices of an array grow. The last two are those of a sagittal acquisition."""

SUFFIXES = {"T1": "T1w", "T1C+": "ce-GAD_T1w", "T2": "T2w"}
DRAWN_AS = "LPS"
UNCOMPRESSED = ("Meningioma", "T2")  # of the first patient


def write_nifti_phantom(out: Path, per_tumor: int = 5, seed: int = 0, progress: ProgressCallback = no_progress) -> int:
    """Write the class folders with NIfTI files: ``Meningioma T2/sub-021/sub-021_T2w.nii.gz``.

    Args:
        out: A new or empty folder.
        per_tumor: Patients of each tumor type; each has two volumes of 12 slices.
        seed: The same seed gives the same bytes.
        progress: Progress callback.

    Returns:
        The number of files.

    Raises:
        MriError: ``out`` is not empty, or ``per_tumor`` is out of range.
    """
    return write_series(out, all_series(per_tumor, seed), lambda series: _write(out, series), progress)


def orientation_of(series: Series) -> str:
    """Axis codes of the file of a series."""
    return ORIENTATIONS[(series.patient.number + 2 * series.number) % len(ORIENTATIONS)]


def _write(out: Path, series: Series) -> int:
    subject = f"sub-{series.patient.number:03d}"
    plain = series.patient.first and (series.patient.tumor, series.contrast) == UNCOMPRESSED
    name = f"{subject}_{SUFFIXES[series.contrast]}.nii" + ("" if plain else ".gz")
    data = _image(series).to_bytes()
    with atomic(out / series.folder / subject / name) as temporary:
        temporary.write_bytes(data if plain else gzip.compress(data, mtime=0))
    return 1


def _image(series: Series) -> nib.Nifti1Image:
    """The volume, int16, in the orientation of its series, with an affine in scanner coordinates."""
    peak = float(np.random.default_rng([*series.key, 7]).integers(500, 1800))
    values = np.rint(series.volume() * peak).astype(np.int16)
    drawn = nib.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), _affine(series))
    drawn.header.set_xyzt_units("mm")
    turned = drawn.as_reoriented(ornt_transform(axcodes2ornt(DRAWN_AS), axcodes2ornt(orientation_of(series))))
    turned.set_sform(turned.affine, code="scanner")
    turned.set_qform(turned.affine, code="scanner")
    return turned


def _affine(series: Series) -> np.ndarray:
    """From array indices to mm to the right, to the front and up; DICOM's axes point to the left and to the back."""
    left, back, up = slice_axes(series.patient.tilt)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack((left * PIXEL_MM, back * PIXEL_MM, up * SPACING_MM))
    affine[:3, 3] = corner(series.patient, 0)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
