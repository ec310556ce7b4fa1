import numpy as np
import pytest

from mri_model.evaluation.bootstrap import MIN_GROUPS, class_interval, interval, resample
from mri_model.evaluation.metrics import summarize


def test_the_interval_is_that_of_explicit_resamples() -> None:
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 5, 80)
    predicted = np.where(rng.random(80) < 0.7, targets, rng.integers(0, 5, 80))
    found = resample(targets, predicted, 5, resamples=200).intervals()
    draws = np.random.default_rng(0).multinomial(80, np.full(80, 1 / 80), 200)
    scores = [summarize(np.repeat(targets, draw), np.repeat(predicted, draw)) for draw in draws]
    for name in ("accuracy", "macro_f1"):
        low, high = np.percentile([getattr(score, name) for score in scores], [2.5, 97.5])
        assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx((low, high))


def test_images_right_or_wrong_together_make_the_interval_wider() -> None:
    targets = np.tile([0, 1], 100)
    groups = np.repeat(np.arange(20), 10)
    predicted = np.where(groups % 3 == 0, 1 - targets, targets)
    singly, together = resample(targets, predicted, 2), resample(targets, predicted, 2, groups)
    for name in ("accuracy", "f1"):
        narrow, wide = (np.ptp(interval(getattr(each, name)), axis=0) for each in (singly, together))
        assert np.all(wide > 2 * narrow)


def test_a_missing_group_is_an_image_of_its_own() -> None:
    targets = np.array([0, 1, 0, 1])
    nameless = np.array([None] * 4, dtype=object)
    first, second = resample(targets, targets[::-1], 2, nameless), resample(targets, targets[::-1], 2)
    assert first.intervals() == second.intervals()


def test_a_class_without_images_has_no_interval() -> None:
    low, high = interval(resample(np.array([0, 1, 1]), np.array([0, 1, 0]), 3).f1)
    assert np.isnan([low[2], high[2]]).all() and np.isfinite([low[:2], high[:2]]).all()


def test_a_class_has_no_interval_on_few_groups_or_where_all_resamples_agree() -> None:
    values = np.column_stack([np.linspace(0, 1, 101), np.linspace(0, 1, 101), np.zeros(101)])
    low, high = class_interval(values, np.array([MIN_GROUPS, MIN_GROUPS - 1, 50]))
    assert (low[0], high[0]) == (pytest.approx(0.025), pytest.approx(0.975))
    assert np.isnan(low[1:]).all() and np.isnan(high[1:]).all()
