"""The phantom in one of its file formats: images, DICOM or NIfTI."""

from importlib.util import find_spec
from pathlib import Path

from mri_model.errors import MriError
from mri_model.options import SampleFormat
from mri_model.progress import ProgressCallback, no_progress

IMAGES_PER_CLASS, PATIENTS_PER_TUMOR = 20, 5
LIBRARIES = {"dicom": ("pydicom", "openjpeg", "jpeg_ls"), "nifti": ("nibabel",)}
"""Modules that writing each format needs; `openjpeg` and `jpeg_ls` encode JPEG 2000 and JPEG-LS."""


def write_sample(
    out: Path,
    sample_format: SampleFormat = "images",
    per_class: int | None = None,
    seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> int:
    """Write a phantom data set.

    Args:
        out: A new or empty folder.
        sample_format: ``images`` (44 class folders), ``dicom`` or ``nifti`` (14 class folders of patients).
        per_class: Images in each class, or patients of each tumor type; by default 20 and 5.
        seed: The same seed gives the same bytes.
        progress: Progress callback.

    Returns:
        The number of files.

    Raises:
        MriError: ``out`` is not empty, a number is out of range, or the optional extra is not installed.
    """
    if sample_format == "images":
        from mri_model.data.phantom import write_phantom

        return write_phantom(out, IMAGES_PER_CLASS if per_class is None else per_class, seed, progress=progress)
    _require_libraries(sample_format)
    patients = PATIENTS_PER_TUMOR if per_class is None else per_class
    if sample_format == "dicom":
        from mri_model.data.phantom_dicom import write_dicom_phantom

        return write_dicom_phantom(out, patients, seed, progress)
    from mri_model.data.phantom_nifti import write_nifti_phantom

    return write_nifti_phantom(out, patients, seed, progress)


def _require_libraries(sample_format: str) -> None:
    missing = [name for name in LIBRARIES[sample_format] if find_spec(name) is None]
    if missing:
        raise MriError(f"{sample_format} files need a library that is missing: {missing[0]}", "pip install '.[dicom]'")
