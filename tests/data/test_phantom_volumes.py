"""The invented patients of the phantoms in DICOM and NIfTI."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mri_model.data.phantom import CLASSES
from mri_model.data.phantom_volumes import HEIGHT, PIXEL_MM, WIDTH, all_series, corner, slice_axes, write_series
from mri_model.errors import MriError
from mri_model.progress import no_progress


def test_every_patient_has_two_series_in_two_classes() -> None:
    series = all_series(3, seed=0)
    assert Counter(one.patient.number for one in series) == dict.fromkeys(range(1, 22), 2)
    folders = {n: {one.folder for one in series if one.patient.number == n} for n in range(1, 22)}
    assert all(len(names) == 2 for names in folders.values())
    assert folders[1] == {"Astrocitoma T1C+", "Astrocitoma T2"}
    assert folders[21] == {"_NORMAL T1", "_NORMAL T2"}
    assert {one.folder for one in series} <= {name for name, _, _ in CLASSES}


def test_the_same_series_is_drawn_again() -> None:
    first, again, other = all_series(1, 0)[0], all_series(1, 0)[0], all_series(1, 1)[0]
    assert np.array_equal(first.volume(), again.volume())
    assert not np.array_equal(first.volume(), other.volume())


def test_the_positions_of_the_slices_lie_on_their_normal() -> None:
    patient = all_series(1, 0)[0].patient
    left, back, up = slice_axes(patient.tilt)
    assert abs(patient.tilt) > 0.1
    assert up[2] > 0.98
    step = corner(patient, 5) - corner(patient, 4)
    assert np.allclose(step, 12 * up)
    middle = (corner(patient, 0) + corner(patient, 11)) / 2
    middle = middle + (WIDTH - 1) / 2 * PIXEL_MM * left + (HEIGHT - 1) / 2 * PIXEL_MM * back
    assert np.allclose(middle, 0)


def test_a_set_without_patients_is_refused() -> None:
    with pytest.raises(MriError, match="0 patients") as refusal:
        all_series(0, 0)
    assert refusal.value.hint


def test_a_filled_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(MriError, match="not an empty folder"):
        write_series(tmp_path, all_series(1, 0), lambda series: 1, no_progress)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
