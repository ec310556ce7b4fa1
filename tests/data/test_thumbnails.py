import cv2
import numpy as np
import pytest

from mri_model.data.thumbnails import cell_sums, integral, means


@pytest.mark.parametrize(
    "shape", [(64, 64), (65, 64), (630, 630), (347, 305), (346, 304), (100, 1000), (20, 30), (1, 1)]
)
def test_a_thumbnail_is_the_mean_of_each_cell(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    small = means(cell_sums(integral(plane), 64), plane.size)
    assert (small.shape, small.dtype) == ((64, 64), np.uint8)
    if min(shape) >= 64:
        reference = cv2.resize(plane, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - reference).max() <= 1
    plane = np.full(shape, 200, np.uint8)
    assert (means(cell_sums(integral(plane), 64), plane.size) == 200).all()
