"""Invented patients and their MRI series: what the phantom in DICOM and the one in NIfTI have in common.

Each patient was examined once, with two contrasts. The series lie in the folders of two classes, so that one patient
occurs in several classes. A series depends on (seed, patient, contrast), never on order or threads.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_model.data.drawn_head import SIGNATURES, Rng, Signature, draw_volume
from mri_model.data.parallel import ordered_map
from mri_model.data.phantom import refuse_filled
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, with_progress

Volume = NDArray[Any]  # (slices, height, width) float32, from base to top, rows to the back, columns to the left

TUMORS = ("Astrocitoma", "Carcinoma", "Glioblastoma", "Meduloblastoma", "Meningioma", "Schwannoma")
HEALTHY = "_NORMAL"
SLICES, HEIGHT, WIDTH = 12, 160, 136
PIXEL_MM, SPACING_MM, THICKNESS_MM = 1.25, 12.0, 6.0
AGENT = "T1C+"

SIGNATURE_OF = {sign.tumor: sign for sign in SIGNATURES}


@dataclass(frozen=True)
class Patient:
    """An invented person with one examination.

    Attributes:
        seed: Seed of the data set.
        tumor: The tumor type as the class folders spell it.
        number: Counts the patients of the data set from 1.
        first: Whether this is the first patient of the tumor type, who has the special files.
    """

    seed: int
    tumor: str
    number: int
    first: bool

    @property
    def sign(self) -> Signature | None:
        return SIGNATURE_OF.get(self.tumor)

    @property
    def contrasts(self) -> tuple[str, str]:
        return ("T1", "T2") if self.sign is None else (AGENT, "T2")

    @cached_property
    def tilt(self) -> float:
        """Angle of the slices to the scanner's axes in degrees, around the axis from right to left."""
        return float(np.random.default_rng([self.seed, self.number, 9]).uniform(-8, 8)) if self.number % 2 else 0.0

    @property
    def heights(self) -> list[float]:
        """Where the slices lie in the head; the last one lies above it."""
        start = float(np.random.default_rng([self.seed, self.number, 8]).uniform(-0.09, -0.05))
        return list(np.linspace(start, start + 1.1, SLICES))


@dataclass(frozen=True)
class Series:
    """One of the two series of a patient.

    Attributes:
        patient: Who was examined.
        number: 1 or 2.
    """

    patient: Patient
    number: int

    @property
    def contrast(self) -> str:
        return self.patient.contrasts[self.number - 1]

    @property
    def folder(self) -> str:
        """The class folder."""
        return f"{self.patient.tumor} {self.contrast}"

    @property
    def key(self) -> tuple[int, int, int]:
        return (self.patient.seed, self.patient.number, self.number)

    def rng(self) -> Rng:
        """Random numbers of this series."""
        return np.random.default_rng(self.key)

    def volume(self) -> Volume:
        """Draw the slices; white is about 1."""
        patient = self.patient
        key = (patient.seed, patient.number)
        return draw_volume(key, self.rng(), patient.sign, self.contrast, (HEIGHT, WIDTH), patient.heights)


def all_series(per_tumor: int, seed: int) -> list[Series]:
    """Both series of every patient of the data set; patients of one tumor type have consecutive numbers."""
    if per_tumor < 1:
        raise MriError(f"{per_tumor} patients per tumor type make no data set", "choose at least 1; the default is 5")
    patients = [
        Patient(seed, tumor, t * per_tumor + k + 1, first=k == 0)
        for t, tumor in enumerate((*TUMORS, HEALTHY))
        for k in range(per_tumor)
    ]
    return [Series(patient, number) for patient in patients for number in (1, 2)]


def write_series(
    out: Path, series: Sequence[Series], write: Callable[[Series], int], progress: ProgressCallback
) -> int:
    """Call ``write`` with every series, in threads; it returns how many files it has written.

    Returns:
        The number of files.

    Raises:
        MriError: ``out`` is not empty.
    """
    refuse_filled(out)
    counts = ordered_map(write, series, threads=min(4, os.cpu_count() or 1), items_per_task=1)
    return sum(with_progress(counts, len(series), "draw", progress))


def slice_axes(tilt: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Unit vectors of an axial slice whose front is raised by ``tilt`` degrees, in DICOM's patient coordinates.

    Returns:
        The directions of the columns (to the left of the patient), of the rows (to the back) and of the slices (up),
        each (x, y, z) with x to the left, y to the back and z up.
    """
    angle = np.deg2rad(tilt)
    left = np.array([1.0, 0.0, 0.0])
    back = np.array([0.0, np.cos(angle), -np.sin(angle)])
    return left, back, np.cross(left, back)


def corner(patient: Patient, k: int) -> NDArray[Any]:
    """Position in mm, in DICOM's patient coordinates, of the first pixel's centre in slice ``k``."""
    left, back, up = slice_axes(patient.tilt)
    across, down = (WIDTH - 1) / 2 * PIXEL_MM, (HEIGHT - 1) / 2 * PIXEL_MM
    return (k - (SLICES - 1) / 2) * SPACING_MM * up - across * left - down * back
