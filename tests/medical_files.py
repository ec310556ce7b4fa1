"""Small DICOM series and NIfTI volumes of invented heads. The tests that use them need the optional extra."""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SIDE = 48


def head(n: int, seed: int = 0, side: int = SIDE) -> NDArray[np.int16]:
    """An ellipsoid with noise in it, of shape (n, side, side); all slices show some of it."""
    z, y, x = np.meshgrid(np.linspace(-0.8, 0.8, n), *2 * [np.linspace(-1.2, 1.2, side)], indexing="ij")
    noise = np.random.default_rng(seed).uniform(0.3, 1, z.shape)
    inside: NDArray[np.int16] = np.where(x**2 + y**2 + z**2 < 1, 900 * noise, 0).astype(np.int16)
    return inside


def write_nifti(file: Path, n: int = 12, seed: int = 0) -> Path:
    """A volume of ``n`` axial slices."""
    file.parent.mkdir(parents=True, exist_ok=True)
    volume = nibabel.Nifti1Image(np.ascontiguousarray(head(n, seed).T), np.diag([-1.0, -1.0, 5.0, 1.0]))
    file.write_bytes(volume.to_bytes())
    return file


def write_dicom(
    folder: Path, n: int = 12, seed: int = 0, patient: str = "P1", series: str = "", row: Sequence[float] = (1, 0, 0)
) -> list[Path]:
    """A series of ``n`` single-frame files, ``IM01.dcm`` to ``IM12.dcm``, axial unless ``row`` says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid(entropy_srcs=[patient, str(seed)])
    files = [folder / f"IM{number:02}.dcm" for number in range(1, n + 1)]
    for number, (file, plane) in enumerate(zip(files, head(n, seed), strict=True)):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = MRImageStorage
        uid = generate_uid(entropy_srcs=[series, str(number)])
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = uid
        image.PatientID, image.Modality, image.StudyInstanceUID, image.SeriesInstanceUID = patient, "MR", "1.2", series
        image.InstanceNumber = number + 1
        image.ImagePositionPatient = [0, 0, 5 * number]
        image.ImageOrientationPatient = [*row, 0, 1, 0]
        image.Rows, image.Columns = plane.shape
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelData = plane.tobytes()
        image.save_as(file, enforce_file_format=True)
    return files
