"""The small descriptions of images by which images are compared."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mri_model.data.hog import HOG_LENGTH, HOG_SIZE, hog
from mri_model.data.thumbnails import THUMBNAIL_SIZE, cell_sums, integral, means
from mri_model.errors import MriError
from mri_model.files import atomic

FINGERPRINTS_FILE = "fingerprints.npz"


@dataclass(frozen=True)
class Fingerprints:
    """One row per file; zeros for files without pixels.

    Attributes:
        thumbnails: Grey, uint8 of shape (n, 64, 64).
        descriptors: HOG descriptors, uint8 of shape (n, 1296).
    """

    thumbnails: np.ndarray
    descriptors: np.ndarray

    @classmethod
    def zeros(cls, n: int) -> Self:
        return cls(
            np.zeros((n, THUMBNAIL_SIZE, THUMBNAIL_SIZE), np.uint8),
            np.zeros((n, HOG_LENGTH), np.uint8),
        )

    def __len__(self) -> int:
        return len(self.thumbnails)

    def __getitem__(self, rows: np.ndarray) -> Self:
        return type(self)(self.thumbnails[rows], self.descriptors[rows])


def describe(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fingerprint of a grey image.

    Args:
        plane: uint8 of shape (height, width), contiguous.

    Returns:
        The cell sums of the thumbnail (``thumbnails.cell_sums``), the thumbnail and the descriptor.
    """
    whole = integral(plane)
    sums = cell_sums(whole, THUMBNAIL_SIZE)
    return sums, means(sums, plane.size), hog(means(cell_sums(whole, HOG_SIZE), plane.size))


def write_fingerprints(folder: Path, fingerprints: Fingerprints) -> None:
    with atomic(folder / FINGERPRINTS_FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, thumbnails=fingerprints.thumbnails, descriptors=fingerprints.descriptors)


def read_fingerprints(folder: Path, n: int) -> Fingerprints:
    """Read the fingerprints of a manifest folder with ``n`` rows.

    Raises:
        MriError: If the file is missing, damaged or has another number of rows.
    """
    file = folder / FINGERPRINTS_FILE
    try:
        with np.load(file, allow_pickle=False) as stored:
            found = Fingerprints(stored["thumbnails"], stored["descriptors"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise damaged(file) from None
    expected = Fingerprints.zeros(n)
    if any(
        (given.shape, given.dtype) != (wanted.shape, wanted.dtype)
        for given, wanted in zip(vars(found).values(), vars(expected).values(), strict=True)
    ):
        raise damaged(file)
    return found


def damaged(file: Path) -> MriError:
    return MriError(f"{file} is missing or damaged", "run: mri ingest DATA")
