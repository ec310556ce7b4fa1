"""When to give no answer, or several: thresholds that validation images support. Arithmetic on arrays.

All of it holds for images that are exchangeable with the validation images, so under the grouped protocol, or for new
scanners, only as far as these resemble the validation images (``docs/results.md`` has the measured difference).
"""

import math

import numpy as np
from scipy.stats import beta

SET_LEVEL = 0.9
"""Share of images whose prediction set holds the true label."""

OUTLIER_SHARE = 0.02
"""Share of images like the validation images that the guard refuses."""

CONFIDENCE = 0.95
"""Probability with which a stated risk is kept, over the draw of the validation images."""


def upper_quantile(scores: np.ndarray, level: float) -> float:
    """The number that a new score exceeds with a probability of at most ``1 - level``.

    The ``ceil((n + 1) level)``-th smallest score, see Vovk et al., "Algorithmic learning in a random world", 2005; the
    largest one if n is too small for the level.

    Args:
        scores: Float of shape (n,), n > 0.
        level: In 0-1.
    """
    rank = min(math.ceil((len(scores) + 1) * level), len(scores))
    return float(np.sort(scores)[rank - 1])


def set_threshold(probabilities: np.ndarray, targets: np.ndarray, level: float = SET_LEVEL) -> float:
    """The probability from which a label belongs to the prediction set, so that sets hold the true label at ``level``.

    Split conformal prediction with the score "1 - probability of the true label" (Sadinle et al., "Least ambiguous
    set-valued classifiers with bounded error levels", JASA 2019).

    Args:
        probabilities: Of held-out images, float of shape (n, classes), n > 0.
        targets: Class indices, int of shape (n,).
    """
    return -upper_quantile(-probabilities[np.arange(len(targets)), targets], level)


def prediction_set(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """The class indices of the labels that an image may have, the most probable first; at least one.

    Args:
        probabilities: Of one image, float of shape (classes,).
        threshold: See ``set_threshold``.
    """
    order = np.argsort(-probabilities, kind="stable")
    return order[: max(1, int((probabilities >= threshold).sum()))]


def risk_threshold(probability: np.ndarray, right: np.ndarray, risk: float) -> float | None:
    """The smallest probability from which at most ``risk`` of the answers are wrong, with ``CONFIDENCE``.

    Selection with guaranteed risk: Geifman and El-Yaniv, "Selective classification for deep neural networks", NIPS
    2017, algorithm 1. A binary search over the validation answers, sorted by probability, that tests each threshold
    with the exact binomial bound; the steps share the error that ``CONFIDENCE`` allows.

    Args:
        probability: Of each validation answer, float of shape (n,).
        right: Whether it is right, bool of shape (n,).
        risk: Share of wrong answers, in 0-1.

    Returns:
        The threshold; None if these images support none.
    """
    falling = np.sort(probability)[::-1]
    error = (1 - CONFIDENCE) / max(1, len(falling).bit_length())
    found, fewest, most = None, 1, len(falling)
    while fewest <= most:
        middle = (fewest + most) // 2
        kept = probability >= falling[middle - 1]
        if highest_risk(int((kept & ~right).sum()), int(kept.sum()), error) <= risk:
            found, fewest = float(falling[middle - 1]), middle + 1
        else:
            most = middle - 1
    return found


def highest_risk(n_wrong: int, n: int, error: float) -> float:
    """Upper bound of Clopper and Pearson (1934) on the share of wrong answers, missed with probability ``error``."""
    return float(beta.ppf(1 - error, n_wrong + 1, n - n_wrong)) if n_wrong < n else 1.0


def lowest_risk(probability: np.ndarray, right: np.ndarray) -> float | None:
    """The lowest risk, in whole percent, for which ``risk_threshold`` finds a threshold; None if there is none."""
    risks = (percent / 100 for percent in range(1, 100))
    return next((risk for risk in risks if risk_threshold(probability, right, risk) is not None), None)
