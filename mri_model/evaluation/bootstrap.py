"""Intervals of accuracy and F1 by drawing whole groups of images again."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from mri_model.evaluation.by_group import unit_numbers


@dataclass(frozen=True)
class Resamples:
    """Figures of bootstrap resamples of a split.

    Attributes:
        accuracy: Float of shape (resamples,).
        f1: Of each class, float of shape (resamples, classes); NaN where a resample has no image of the class.
    """

    accuracy: np.ndarray
    f1: np.ndarray

    def intervals(self) -> dict[str, Any]:
        """95 % percentile intervals of accuracy and macro-F1 under the names of ``OverallMetrics``."""
        macro_f1 = np.nanmean(self.f1, axis=1)
        ends = {"low": 2.5, "high": 97.5}
        return {
            f"{name}_{end}": float(np.percentile(values, percent))
            for name, values in (("accuracy", self.accuracy), ("macro_f1", macro_f1))
            for end, percent in ends.items()
        }

    def class_intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % percentile interval of each class's F1; NaN for a class without images."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN alone
            low, high = np.nanpercentile(self.f1, [2.5, 97.5], axis=0)
        return low, high


def resample(
    targets: np.ndarray,
    predicted: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Resamples:
    """Draw images with replacement (the bootstrap; Efron and Tibshirani, 1993, chapter 13).

    Whole groups are drawn if ``groups`` is given (the cluster bootstrap; Field and Welsh, 2007, J. R. Stat. Soc. B 69,
    369–390): images of one group are right or wrong together, and drawing single images would make the interval too
    narrow. An image without a group is a group of its own.

    Args:
        targets, predicted: Class indices, int of shape (n,).
        groups: Group of each image, of shape (n,), null where it has none.
    """
    unit = np.arange(len(targets)) if groups is None else unit_numbers(groups)
    n_units = unit.max() + 1
    draws = np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), resamples)
    weights = draws[:, unit].astype(np.float64)  # how often each image is in each resample
    one_hot = np.eye(n_classes)
    supports, answers = weights @ one_hot[targets], weights @ one_hot[predicted]
    hits = weights @ (one_hot[targets] * (targets == predicted)[:, None])
    f1 = np.divide(2 * hits, supports + answers, out=np.full_like(hits, np.nan), where=supports > 0)
    return Resamples(hits.sum(1) / weights.sum(1), f1)


def difference_interval(
    differences: np.ndarray, groups: np.ndarray, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a mean over images, drawing whole groups as ``resample`` does.

    Args:
        differences: For example how much better one model is than another on each image, float of shape (n,), n > 0.
        groups: Group of each image, of shape (n,), null where it has none.
    """
    unit = unit_numbers(groups)
    n_units = unit.max() + 1
    draws = np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), resamples)
    means = (draws @ np.bincount(unit, differences)) / (draws @ np.bincount(unit))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
