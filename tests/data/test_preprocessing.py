"""From a decoded image to the network's input, the same for training, evaluation and scoring."""

import cv2
import numpy as np
import pytest
import torch

from mri_model.data.preprocessing import Preprocessing, head_box
from mri_model.errors import UsageError
from mri_model.training.recipe import make_recipe

LARGER = Preprocessing(64, "area", store_scale=1.5)
NO_CHANGE = torch.eye(2, 3)[None]


def drawn_image(side: int = 300, seed: int = 0) -> np.ndarray:
    """Fine detail on blobs: uint8 BGR of shape (side, side, 3)."""
    rng = np.random.default_rng(seed)
    blobs = cv2.resize(rng.uniform(0, 160, (12, 12)), (side, side), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.uniform(-120, 120, (side, side)), (0, 0), 2)
    return np.repeat((blobs + 3 * grain).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def stored(preprocessing: Preprocessing, n: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.stack([preprocessing.shrink(drawn_image(seed=seed)) for seed in range(n)]))


def head_in_the_dark(rows: slice, columns: slice, value: int = 90) -> np.ndarray:
    pixels = np.zeros((200, 160, 3), np.uint8)
    pixels[rows, columns] = value
    return pixels


def test_the_reports_input_is_the_plain_resize() -> None:
    preprocessing = make_recipe("report", image_size=100).preprocessing
    assert preprocessing == Preprocessing(100)
    image = drawn_image()
    batch = torch.from_numpy(preprocessing.shrink(image))[None]
    expected = torch.from_numpy(cv2.resize(image, (100, 100))[:, :, ::-1].transpose(2, 0, 1).copy())
    assert torch.equal(preprocessing.resample(batch)[0], expected)


def test_a_larger_image_is_stored_and_the_network_gets_its_size() -> None:
    assert LARGER.store_size == 96
    assert LARGER.shrink(drawn_image()).shape == (3, 96, 96)
    assert LARGER.resample(stored(LARGER, 2)).shape == (2, 3, 64, 64)


def test_evaluation_resamples_as_training_without_a_change_does() -> None:
    batch = stored(LARGER, 2)
    assert torch.equal(LARGER.resample(batch), LARGER.resample(batch, NO_CHANGE.expand(2, 2, 3)))


def test_resampling_is_the_mean_of_the_two_nearest_pixels_by_distance() -> None:
    """At 1.5 stored pixels to one, the centers lie at 0.25, 1.75, 3.25, … along each axis."""
    batch = torch.arange(96, dtype=torch.uint8).expand(1, 3, 96, 96)
    expected = torch.arange(64) * 1.5 + 0.25
    assert torch.allclose(LARGER.resample(batch)[0, 0, 10], expected, atol=1e-3)


def test_the_crop_to_the_head_leaves_the_dark_margins_out() -> None:
    assert head_box(head_in_the_dark(slice(40, 150), slice(20, 100))) == (slice(40, 150), slice(20, 100))
    assert head_box(head_in_the_dark(slice(40, 150), slice(20, 100), value=16)) == (slice(None), slice(None))


def test_a_colour_image_is_cropped_by_its_brightest_channel() -> None:
    pixels = head_in_the_dark(slice(40, 150), slice(20, 100))
    pixels[:, :, :2] = 0
    assert head_box(pixels) == (slice(40, 150), slice(20, 100))


def test_a_few_bright_pixels_beside_the_head_do_not_widen_the_crop() -> None:
    pixels = head_in_the_dark(slice(40, 150), slice(20, 100))
    pixels[5, 130:133] = 255
    assert head_box(pixels) == (slice(40, 150), slice(20, 100))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((90, 90, 3), np.uint8),
        np.full((90, 90, 3), 255, np.uint8),
        head_in_the_dark(slice(40, 50), slice(20, 100)),
        head_in_the_dark(slice(0, 200), slice(3, 9)),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["black", "white", "a line of text", "a stripe", "one pixel"],
)
def test_an_image_without_a_head_is_kept_whole(pixels: np.ndarray) -> None:
    rows, columns = head_box(pixels)
    assert pixels[rows, columns].shape == pixels.shape


def test_a_cropped_image_fills_the_stored_one() -> None:
    head = Preprocessing(64, "area", crop_to_head=True)
    assert (head.shrink(head_in_the_dark(slice(40, 150), slice(20, 100))) == 90).all()


@pytest.mark.parametrize("wrong", [0.5, 3.0])
def test_a_store_scale_that_cannot_be_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match="store scale"):
        Preprocessing(64, store_scale=wrong)
