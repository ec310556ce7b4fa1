"""Slices of one drawn head belong together, as those of a volume do."""

import numpy as np
import pytest

from mri_model.data.drawn_head import SIGNATURES, Signature, draw_volume

SHAPE, HEIGHTS = (96, 80), list(np.linspace(-0.07, 1.03, 12))
MENINGIOMA = next(sign for sign in SIGNATURES if sign.tumor == "Meningioma")


def _volume(key: int, sign: Signature | None = None, contrast: str = "T1", scan: int = 0) -> np.ndarray:
    return draw_volume([0, key], np.random.default_rng(scan), sign, contrast, SHAPE, HEIGHTS)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_the_head_is_widest_in_the_middle_and_ends_before_the_last_slice() -> None:
    bright = (_volume(1) > 0.3).mean(axis=(1, 2))
    assert bright[5] > 0.3
    assert bright[0] < 0.2 * bright[5]
    assert bright[-1] < 0.01
    assert list(np.sign(np.diff(bright[:4]))) == [1, 1, 1]


def test_neighbouring_slices_resemble_each_other() -> None:
    for volume in (_volume(k) for k in range(4)):
        assert all(_correlation(volume[k], volume[k + 1]) > 0.5 for k in range(1, 10))
        assert _correlation(volume[5], volume[6]) > 0.85
        assert _correlation(volume[5], volume[6]) > _correlation(volume[5], volume[8])
        assert not np.array_equal(volume[5], volume[6])


def test_the_tumor_shows_in_some_slices_and_at_the_same_place_in_both_contrasts() -> None:
    places = []
    for contrast in ("T1C+", "T2"):
        painted = np.abs(_volume(5, MENINGIOMA, contrast) - _volume(5, None, contrast))[1:-1]
        with_tumor = [k for k, plane in enumerate(painted) if (plane > 0.2).mean() > 0.004]
        assert 2 <= len(with_tumor) <= 6
        assert with_tumor == list(range(with_tumor[0], with_tumor[-1] + 1))
        places.append(painted[with_tumor[1]] > 0.2)
    assert (places[0] & places[1]).sum() > 0.6 * max(places[0].sum(), places[1].sum())


def test_another_person_has_another_head() -> None:
    assert _correlation(_volume(1)[6], _volume(2)[6]) < 0.85
    assert _correlation(_volume(1)[6], _volume(1, scan=3)[6]) > 0.95


@pytest.mark.parametrize("contrast", ["T1", "T1C+", "T2"])
def test_values_are_magnitudes(contrast: str) -> None:
    volume = _volume(3, MENINGIOMA, contrast)
    assert volume.dtype == np.float32
    assert volume.shape == (12, *SHAPE)
    assert volume.min() >= 0
    assert 0.7 < np.percentile(volume, 99.9) < 1.6
