"""Small DICOM and NIfTI files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

AXIAL = [1.0, 0, 0, 0, 1, 0]
SAGITTAL = [0.0, 1, 0, 0, 0, -1]

SERIES = generate_uid(entropy_srcs=["series"])
STUDY = generate_uid(entropy_srcs=["study"])


def dicom(
    pixels: np.ndarray, position: float | None = None, syntax: UID = ExplicitVRLittleEndian, **elements: Any
) -> bytes:
    """A classic MR image of 16 bits. ``elements`` are added; None takes one away."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
    dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "P1", STUDY, SERIES
    dataset.Modality, dataset.InstanceNumber = "MR", 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    if position is not None:
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, position], AXIAL
    for name, value in elements.items():
        setattr(dataset, name, value)
        if value is None:
            delattr(dataset, name)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def head(side: int, level: int = 1000) -> np.ndarray:
    """A bright disc in a square that is half as wide, uint16 of shape (32, 32); nothing if ``side`` is 0."""
    rows, columns = np.mgrid[:32, :32] - 15.5
    disc = np.hypot(rows, columns) < side / 2
    return (disc * (level + 10 * rows)).astype(np.uint16)


def volume(sides: Sequence[int]) -> list[np.ndarray]:
    return [head(side) for side in sides]


def nifti(voxels: np.ndarray, affine: np.ndarray | None = None, **header: Any) -> bytes:
    """A volume as an uncompressed file."""
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    return bytes(image.to_bytes())


def write(folder: Path, name: str, data: bytes) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file
