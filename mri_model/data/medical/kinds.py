"""DICOM and NIfTI files: recognized by content. Reading them needs the optional packages of the extra ``dicom``."""

import posixpath
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal

from mri_model.data.convertible import is_bare_dicom, is_nifti, unzipped
from mri_model.data.formats import IMAGE_EXTENSIONS

Kind = Literal["DICOM", "NIfTI"]

EXTRA = "pip install '.[dicom]'"

PACKAGES = {"DICOM": ("pydicom", "highdicom", "gdcm"), "NIfTI": ("nibabel",)}

FIRST_BYTES = 4096
"""So much of a file says what it is."""

EXTENSIONS = (".dcm", ".nii", ".gz")
"""Usual extensions; files are recognized by content, whatever they are called."""


def kind_of(data: bytes) -> Kind | None:
    """The kind of a file, by its ``FIRST_BYTES``."""
    if data[128:132] == b"DICM":
        return "DICOM"
    if is_nifti(data) or is_nifti(unzipped(data)):
        return "NIfTI"
    return "DICOM" if is_bare_dicom(data) else None


def may_be_medical(path: str) -> bool:
    """Whether a file is looked into: not if its name says that it is a plain image."""
    return posixpath.splitext(path)[1].lower() not in IMAGE_EXTENSIONS


@lru_cache
def is_installed(kind: Kind) -> bool:
    return all(find_spec(name) for name in PACKAGES[kind])
