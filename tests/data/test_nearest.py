"""The nearest training image is found exactly, whatever the size of the tiles."""

import numpy as np
import pytest

from mri_model.data import similarity
from mri_model.data.hog import HOG_LENGTH
from mri_model.data.nearest import Nearest, nearest
from mri_model.data.similarity import HogVectors, PixelVectors, mean_descriptor

TUMOR = np.array([0, 0, 1])
"""Three classes of two tumor types."""


def pixels(n: int, seed: int) -> np.ndarray:
    """Thumbnails that resemble each other more or less."""
    rng = np.random.default_rng(seed)
    common = rng.integers(0, 256, 4096)
    return ((common * rng.random((n, 1)) + rng.integers(0, 100, (n, 4096))) / 1.4).astype(np.uint8)


def descriptors(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 97, (n, HOG_LENGTH), dtype=np.uint8)


def labels(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, n)


def check(found: Nearest, expected: np.ndarray, tested: np.ndarray, known: np.ndarray) -> None:
    """Compare with the maxima of a whole matrix of similarities."""
    assert found.similarity == pytest.approx(expected.max(axis=1), abs=1e-6)
    assert found.label.tolist() == known[expected.argmax(axis=1)].tolist()
    other = np.where(tested[:, None] != known, expected, -2).max(axis=1)
    same = np.where(TUMOR[tested][:, None] == TUMOR[known], expected, -2).max(axis=1)
    assert found.other == pytest.approx(other, abs=1e-6)
    assert found.same_tumor == pytest.approx(same, abs=1e-6)


@pytest.mark.parametrize("tile", [1024, 7])
def test_pixels_are_compared_by_their_correlation(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "TILE", tile)
    tested, known = pixels(20, 1), pixels(30, 1)[10:] // 2
    first, second = labels(20, 2), labels(20, 3)
    found = nearest(PixelVectors.of(tested), first, PixelVectors.of(known), second, TUMOR)
    check(found, np.corrcoef(tested, known)[:20, 20:], first, second)


@pytest.mark.parametrize("tile", [1024, 7])
def test_edges_are_compared_by_their_cosine_without_the_mean(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "TILE", tile)
    tested, known = descriptors(20, 1), descriptors(15, 2)
    mean = mean_descriptor(known)
    first, second = labels(20, 2), labels(15, 3)
    found = nearest(HogVectors.of(tested, mean), first, HogVectors.of(known, mean), second, TUMOR)
    left, right = (each - mean / 64 for each in (tested, known))
    lengths = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
    check(found, left @ right.T / lengths, first, second)


def test_the_first_of_equally_near_images_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "TILE", 2)
    one = pixels(1, 0)
    known = PixelVectors.of(np.repeat(one, 5, axis=0))
    found = nearest(PixelVectors.of(one), np.array([0]), known, np.array([1, 0, 2, 0, 0]), TUMOR)
    assert (found.label.tolist(), found.similarity.tolist()) == ([1], [1.0])


def test_without_another_class_there_is_no_similarity_to_one() -> None:
    vectors = PixelVectors.of(pixels(3, 0))
    found = nearest(vectors, np.array([0, 2, 0]), vectors, np.array([0, 0, 0]), TUMOR)
    assert np.isnan(found.other).tolist() == [True, False, True]
    assert np.isnan(found.same_tumor).tolist() == [False, True, False]


def test_blank_images_are_near_equal_ones_only() -> None:
    grey = np.stack([np.full(4096, 9, np.uint8), np.full(4096, 8, np.uint8), pixels(1, 0)[0]])
    vectors = PixelVectors.of(grey)
    found = nearest(PixelVectors.of(grey[:1]), np.array([0]), vectors, np.arange(3), TUMOR)
    assert (found.similarity.tolist(), found.other.tolist()) == ([1.0], [0.0])
