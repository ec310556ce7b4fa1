"""Random changes to training images: where pixels go, how sharp and how bright they are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_model.data.preprocessing import Preprocessing
from mri_model.training.augment import NUMBERS, augment, draw, jitter, placement
from mri_model.training.recipe import make_recipe
from tests.data.test_preprocessing import LARGER, NO_CHANGE, stored

RECIPE = make_recipe(image_size=64)
UNCHANGED = {
    "hflip": False,
    "crop_area": 1.0,
    "crop_aspect": 0.0,
    "rotation": 0.0,
    "intensity_gain": 0.0,
    "intensity_offset": 0.0,
}


def test_the_reports_recipe_changes_no_byte() -> None:
    recipe = make_recipe("report", image_size=100)
    batch = stored(recipe.preprocessing, 2)
    assert augment(batch, draw(2, torch.Generator().manual_seed(0)), recipe) is batch


def test_without_augmentation_training_images_are_those_of_evaluation() -> None:
    batch = stored(LARGER, 2)
    numbers = draw(2, torch.Generator().manual_seed(0))
    assert torch.equal(augment(batch, numbers, make_recipe(image_size=64, **UNCHANGED)), LARGER.resample(batch))


@settings(deadline=None)
@given(
    turn=st.floats(-180, 180),
    center=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    size=st.tuples(st.floats(0.6, 1), st.floats(0.6, 1)),
)
def test_a_point_goes_where_the_map_says(turn: float, center: tuple[float, float], size: tuple[float, float]) -> None:
    """A spot drawn at the place that the center of the result comes from is at the result's center."""
    angle = np.radians(turn)
    matrix = [[np.cos(angle) * size[0], -np.sin(angle) * size[1], center[0]]]
    matrix += [[np.sin(angle) * size[0], np.cos(angle) * size[1], center[1]]]
    assert spot_after(torch.tensor([matrix], dtype=torch.float32), center) == pytest.approx((0, 0), abs=0.02)


def spot_after(matrix: torch.Tensor, place: tuple[float, float]) -> tuple[float, float]:
    """Where a bright spot at ``place`` (x, y from -1 to 1) of the stored image is in the result, in its coordinates."""
    axis = (torch.arange(96) + 0.5) / 48 - 1
    squared = (axis[None] - place[0]) ** 2 + (axis[:, None] - place[1]) ** 2
    spot = (255 * torch.exp(-squared / 0.005)).to(torch.uint8).expand(1, 3, 96, 96)
    result = LARGER.resample(spot, matrix)[0, 0]
    own = (torch.arange(64) + 0.5) / 32 - 1
    total = result.sum()
    return float((result.sum(0) * own).sum() / total), float((result.sum(1) * own).sum() / total)


def numbers(**given: float) -> torch.Tensor:
    """Random numbers of one image that change nothing, but for those given by name."""
    order = ("mirrored", "area", "aspect", "x", "y", "angle", "gain", "offset")
    neutral = dict.fromkeys(order, 0.5) | {"mirrored": 1.0, "area": 0.0}
    assert len(order) == NUMBERS
    return torch.tensor([[(neutral | given)[name] for name in order]])


def test_numbers_that_change_nothing_are_the_whole_image() -> None:
    assert torch.allclose(placement(numbers(), RECIPE), NO_CHANGE)


def test_a_mirrored_spot_is_on_the_other_side() -> None:
    x, y = spot_after(placement(numbers(mirrored=0.0), RECIPE), (0.4, -0.3))
    assert (x, y) == pytest.approx((-0.4, -0.3), abs=0.02)


def test_a_rotation_moves_a_spot_on_a_circle_by_the_recipes_degrees() -> None:
    x, y = spot_after(placement(numbers(angle=1.0), RECIPE), (0.5, 0.0))
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(-12, abs=1)
    assert np.hypot(x, y) == pytest.approx(0.5, abs=0.02)


def test_the_smallest_crop_enlarges_and_its_corner_is_the_images_corner() -> None:
    matrix = placement(numbers(area=1.0, x=0.0, y=0.0), RECIPE)
    side = 0.6**0.5
    assert torch.allclose(matrix, torch.tensor([[[side, 0, side - 1], [0, side, side - 1]]]))
    corner = matrix[0] @ torch.tensor([-1.0, -1.0, 1.0])
    assert torch.allclose(corner, torch.tensor([-1.0, -1.0]))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_crops_keep_to_the_recipes_area_and_aspect_and_lie_in_the_image(seed: int) -> None:
    recipe = make_recipe(image_size=64, rotation=0.0, hflip=False)
    matrix = placement(draw(50, torch.Generator().manual_seed(seed)), recipe)
    width, height = matrix[:, 0, 0], matrix[:, 1, 1]
    assert (width * height >= 0.6 / 1.18 - 1e-5).all()  # a crop cut to the image loses what sticks out
    assert (width / height <= 1.18 + 1e-5).all()
    assert (height / width <= 1.18 + 1e-5).all()
    assert (matrix[:, :, 2].abs() + torch.stack([width, height], 1) <= 1 + 1e-5).all()


def energy(images: torch.Tensor) -> torch.Tensor:
    """Share of fine detail: energy of the upper half of the frequencies along both axes, per image."""
    middle = images[:, 0, 12:-12, 12:-12].double()
    middle = middle - middle.mean((1, 2), keepdim=True)
    window = torch.hann_window(middle.shape[-1], dtype=torch.float64)
    power = torch.fft.fft2(middle * window * window[:, None]).abs().square()
    frequency = torch.fft.fftfreq(middle.shape[-1]).abs()
    fine = (frequency[None] > 0.2) | (frequency[:, None] > 0.2)
    return (power * fine).sum((1, 2))


def test_rotated_training_images_are_as_sharp_as_evaluated_ones() -> None:
    """Without the larger store they would be blurred: rotations at the network's size lose a third of fine detail."""
    assert sharpness(LARGER, 24) == pytest.approx(1, abs=0.12)
    assert sharpness(Preprocessing(64, "area"), 24) < 0.75


def sharpness(preprocessing: Preprocessing, n: int) -> float:
    """Fine detail in rotated images over that in the same images as evaluation has them."""
    recipe = make_recipe(image_size=64, **UNCHANGED | {"rotation": 12.0, "store_scale": preprocessing.store_scale})
    batch = stored(preprocessing, n)
    turned = preprocessing.resample(batch, placement(draw(n, torch.Generator().manual_seed(0)), recipe))
    return float(energy(turned.float()).sum() / energy(preprocessing.resample(batch).float()).sum())


def test_intensities_stay_within_the_recipes_bounds_and_the_grey_scale() -> None:
    grey = torch.tensor([0.0, 100.0, 250.0]).view(1, 1, 1, 3).expand(1000, 3, 1, 3)
    changed = jitter(grey, draw(1000, torch.Generator().manual_seed(0)), RECIPE)
    assert changed.min() >= 0
    assert changed.max() <= 255
    middle = changed[:, 0, 0, 1]
    assert 60 <= middle.min() < 65
    assert 135 < middle.max() <= 140
    assert (changed[:, 0] == changed[:, 2]).all()  # all channels alike: a grey image stays grey
