"""Calibration of probabilities by a temperature, and what the confidence of an answer is worth."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURES = (0.05, 20.0)
"""Temperatures that are tried."""

BINS = 15
"""Bins of equal width for the expected calibration error, as in Guo et al. (2017)."""


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature that makes held-out logits most likely.

    See Guo et al., "On calibration of modern neural networks", ICML 2017. Targets are smoothed by 1 / (n + 2), as Platt
    (1999) does: if all n answers are right, the likelihood alone would make the probabilities exactly 1.

    Args:
        logits: Float of shape (n, classes), of images that the network was not trained on; n > 0.
        targets: Class indices, int of shape (n,).

    Returns:
        A number in ``TEMPERATURES``; logits are to be divided by it before the softmax. 1 if a logit is not finite.
    """
    if not np.isfinite(logits).all():
        return 1.0
    exact = logits.astype(np.float64)
    smoothing = 1 / (len(targets) + 2)

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(exact / np.exp(log_temperature), axis=1)
        own = log_probabilities[np.arange(len(targets)), targets]
        return -float(((1 - smoothing) * own + smoothing * log_probabilities.mean(axis=1)).mean())

    bounds = tuple(np.log(TEMPERATURES))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error, in 0–1: mean distance of confidence and accuracy over bins (Guo et al., 2017).

    Args:
        confidence: Probability of each answer, float of shape (n,), n > 0.
        right: Whether the answer is right, bool of shape (n,).
    """
    bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    excess = np.bincount(bins, confidence - right, BINS)
    return float(np.abs(excess).sum() / len(right))


def risk_coverage_area(confidence: np.ndarray, right: np.ndarray) -> float:
    """Area under the risk-coverage curve, in 0–1 (Geifman et al., "Bias-reduced uncertainty estimation", 2019).

    The risk at coverage k / n is the share of wrong answers among the k most confident ones; the area is its mean over
    k. Answers of the same confidence share their errors equally.

    Args:
        confidence: Probability of each answer, float of shape (n,), n > 0.
        right: Whether the answer is right, bool of shape (n,).
    """
    _, tie, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    error = (np.bincount(tie, ~right) / size)[np.sort(tie)]
    return float((np.cumsum(error) / np.arange(1, len(error) + 1)).mean())
