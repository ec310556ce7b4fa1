import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from mri_model.evaluation.calibration import TEMPERATURES, calibration_error, fit_temperature, risk_coverage_area


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(size=(20_000, 6)) * 2
    probabilities = softmax(true_logits, axis=1)
    targets = (probabilities.cumsum(axis=1) > rng.random((len(probabilities), 1))).argmax(axis=1)
    assert fit_temperature(true_logits * temperature, targets) == pytest.approx(temperature, rel=0.05)


def test_answers_that_are_all_right_do_not_become_certain() -> None:
    targets = np.arange(30) % 3
    logits = np.eye(3)[targets] * 5
    confidence = softmax(logits / fit_temperature(logits, targets), axis=1).max()
    assert 0.97 < confidence < 0.995


def test_logits_that_are_not_finite_are_left_as_they_are() -> None:
    assert fit_temperature(np.array([[np.nan, 1.0]]), np.array([0])) == 1.0


@given(st.integers(1, 40), st.integers(0, 1000))
def test_a_temperature_is_always_within_its_bounds(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = fit_temperature(rng.normal(size=(n, 4)).astype(np.float32) * 10, rng.integers(0, 4, n))
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]


def test_the_calibration_error_is_the_distance_of_confidence_and_accuracy() -> None:
    confidence = np.array([0.9] * 10 + [0.6] * 10)
    right = np.array([True] * 9 + [False] + [True] * 2 + [False] * 8)
    assert calibration_error(confidence, right) == pytest.approx((0.0 + 0.4) / 2)
    assert calibration_error(np.ones(4), np.ones(4, bool)) == 0.0


def test_the_risk_coverage_area_is_the_mean_risk_over_all_coverages() -> None:
    confidence, right = np.array([0.9, 0.2, 0.8, 0.5]), np.array([True, False, False, True])
    assert risk_coverage_area(confidence, right) == pytest.approx((0 / 1 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert risk_coverage_area(confidence, np.ones(4, bool)) == 0.0


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=20))
def test_the_order_of_equally_confident_answers_does_not_matter(rows: list[tuple[int, bool]]) -> None:
    shuffled = sorted(rows, key=lambda row: row[1])
    areas = [
        risk_coverage_area(np.array([c / 4 for c, _ in each]), np.array([r for _, r in each]))
        for each in (rows, shuffled)
    ]
    assert areas[0] == pytest.approx(areas[1])
