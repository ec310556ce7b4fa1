import numpy as np
import pytest
from scipy.special import softmax

from mri_model.evaluation.abstention import (
    CONFIDENCE,
    highest_risk,
    lowest_risk,
    prediction_set,
    risk_threshold,
    set_threshold,
    upper_quantile,
)


def draw(n: int, random: np.random.Generator, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 10) and the classes of as many images."""
    targets = random.integers(0, 10, n)
    logits = random.normal(size=(n, 10))
    logits[np.arange(n), targets] += skill
    return softmax(logits, axis=1), targets


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("n", [30, 200])
def test_sets_of_exchangeable_images_hold_the_true_label_as_often_as_stated(n: int, level: float) -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        threshold = set_threshold(*draw(n, random), level)
        probabilities, targets = draw(50, random)
        covered.append(
            np.mean([true in prediction_set(p, threshold) for p, true in zip(probabilities, targets, strict=True)])
        )
    assert level - 0.01 <= np.mean(covered) <= level + 1 / (n + 1) + 0.015


def test_a_new_score_exceeds_the_quantile_as_rarely_as_stated() -> None:
    random = np.random.default_rng(0)
    exceeded = [random.normal() > upper_quantile(random.normal(size=99), 0.95) for _ in range(20_000)]
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.005)
    assert upper_quantile(np.array([3.0, 1.0, 2.0]), 0.99) == 3.0  # too few for this level


def test_a_set_is_never_empty_and_begins_with_the_answer() -> None:
    assert prediction_set(np.array([0.2, 0.5, 0.3]), 0.9).tolist() == [1]
    assert prediction_set(np.array([0.2, 0.5, 0.3]), 0.3).tolist() == [1, 2]
    assert prediction_set(np.array([0.2, 0.5, 0.3]), 0.0).tolist() == [1, 2, 0]


@pytest.mark.parametrize("risk", [0.05, 0.2])
def test_the_risk_of_kept_answers_is_kept_with_the_stated_confidence(risk: float) -> None:
    random = np.random.default_rng(0)
    probabilities, targets = draw(200_000, random, skill=3.0)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    exceeded, found = 0, 0
    for _ in range(300):
        probabilities, targets = draw(400, random, skill=3.0)
        threshold = risk_threshold(probabilities.max(axis=1), probabilities.argmax(axis=1) == targets, risk)
        if threshold is not None:
            found += 1
            exceeded += bool((~right[confidence >= threshold]).mean() > risk)
    assert found > 200 and exceeded / 300 <= 1 - CONFIDENCE


def test_a_higher_risk_never_asks_for_a_higher_probability() -> None:
    probabilities, targets = draw(500, np.random.default_rng(1))
    answers = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    found = [risk_threshold(*answers, risk) for risk in (0.1, 0.3, 0.5, 0.9)]
    thresholds = [each for each in found if each is not None]
    assert thresholds == sorted(thresholds, reverse=True) and thresholds[-1] == answers[0].min()


def test_a_risk_that_few_images_cannot_guarantee_has_no_threshold() -> None:
    probability, right = np.linspace(0.5, 1, 20), np.ones(20, bool)
    assert risk_threshold(probability, right, 0.05) is None  # 20 right answers guarantee 20 % or so
    lowest = lowest_risk(probability, right)
    assert lowest is not None and 0.1 < lowest < 0.4
    assert risk_threshold(probability, right, lowest) == 0.5
    assert risk_threshold(np.empty(0), np.empty(0, bool), 0.5) is None
    assert lowest_risk(probability, ~right) is None


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    assert highest_risk(0, 59, 0.05) == pytest.approx(0.0495, abs=1e-4)  # 1 - 0.05 ** (1 / 59)
    assert highest_risk(10, 10, 0.05) == 1.0
