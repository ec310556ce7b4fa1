import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.hog import BINS, CELL, CELLS, FLOOR, HOG_LENGTH, HOG_SIZE, LEVELS, MIRRORED, hog


def picture(seed: int) -> np.ndarray:
    blobs = np.random.default_rng(seed).uniform(0, 255, (12, 12))
    return cv2.resize(blobs, (HOG_SIZE, HOG_SIZE), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def reference(grey: np.ndarray) -> np.ndarray:
    """The definition in float64, pixel by pixel."""
    padded = np.pad(grey.astype(float), 1, mode="edge")
    cells = np.zeros((CELLS, CELLS, BINS))
    for row in range(HOG_SIZE):
        for column in range(HOG_SIZE):
            across = padded[row + 1, column + 2] - padded[row + 1, column]
            down = padded[row + 2, column + 1] - padded[row, column + 1]
            place = np.arctan2(down, across) % np.pi / np.pi * BINS - 0.5
            below = int(np.floor(place))
            magnitude = np.hypot(down, across)
            cell = cells[row // CELL, column // CELL]
            cell[below % BINS] += magnitude * (1 - (place - below))
            cell[(below + 1) % BINS] += magnitude * (place - below)
    energy = np.pad((cells**2).sum(axis=2), 1, mode="edge")
    local = np.array([[energy[i : i + 3, j : j + 3].mean() for j in range(CELLS)] for i in range(CELLS)])
    return (cells / np.sqrt(local + FLOOR)[:, :, None] * LEVELS).ravel()


def test_a_descriptor_is_that_of_the_definition_to_one_level() -> None:
    assert np.abs(hog(picture(0)) - reference(picture(0))).max() <= 1


@given(st.integers(0, 1000))
def test_the_descriptor_of_a_mirror_image_is_a_permutation_to_one_level(seed: int) -> None:
    mirror = np.ascontiguousarray(picture(seed)[:, ::-1])
    assert np.abs(hog(mirror).astype(int) - hog(picture(seed))[MIRRORED]).max() <= 1
    assert sorted(MIRRORED) == list(range(HOG_LENGTH))


@given(st.integers(0, 1000), st.integers(-20, 20))
def test_brightness_does_not_change_edges(seed: int, shift: int) -> None:
    grey = picture(seed).astype(int) // 2 + 60
    assert (hog(grey.astype(np.uint8)) == hog((grey + shift).astype(np.uint8))).all()


def test_values_stay_within_the_range_that_exact_products_allow() -> None:
    stripes = np.tile(np.array([0, 0, 255, 255], np.uint8), (HOG_SIZE, HOG_SIZE // 4))
    spot = np.zeros((HOG_SIZE, HOG_SIZE), np.uint8)
    spot[40:48, 40:48] = stripes[:8, :8]  # all energy in one cell: the largest value
    assert 1.5 * LEVELS < hog(spot).max() <= 3 * LEVELS
    assert hog(stripes).max() <= 3 * LEVELS
    assert not hog(np.full((HOG_SIZE, HOG_SIZE), 77, np.uint8)).any()
