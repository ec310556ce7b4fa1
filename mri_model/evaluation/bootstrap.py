"""Intervals of accuracy and F1 by drawing all images of a patient, or of a group, again (``evaluation.units``)."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from mri_model.evaluation.units import unit_numbers

MIN_GROUPS = 5
"""With fewer groups or patients, a bootstrap over them is too narrow to be shown."""


def interval(values: np.ndarray) -> tuple[Any, Any]:
    """Ends of the 95 % percentile interval over the first axis, without NaN values; NaN if there are no others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN alone
        low, high = np.nanpercentile(values, [2.5, 97.5], axis=0)
    return low, high


def class_interval(values: np.ndarray, n_groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``interval`` of each class, NaN where it would claim more than is known.

    That is with fewer than ``MIN_GROUPS`` groups, and where all resamples agree: a class with no right answer in six
    groups has no right answer in any resample either, but that does not make its F1 certain.

    Args:
        values: Float of shape (resamples, classes).
        n_groups: Number of groups or patients of each class, int of shape (classes,).
    """
    low, high = interval(values)
    unknown = (n_groups < MIN_GROUPS) | (low == high)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


@dataclass(frozen=True)
class Resamples:
    """Figures of bootstrap resamples of a split.

    Attributes:
        accuracy: Float of shape (resamples,).
        f1: Of each class, float of shape (resamples, classes); NaN where a resample has no image of the class.
    """

    accuracy: np.ndarray
    f1: np.ndarray

    @property
    def macro_f1(self) -> np.ndarray:
        """Mean F1 of the classes that a resample has images of, float of shape (resamples,)."""
        return np.nanmean(self.f1, axis=1)

    def intervals(self) -> dict[str, Any]:
        """95 % percentile intervals of accuracy and macro-F1 under the names of ``OverallMetrics``."""
        return {
            f"{name}_{end}": float(value)
            for name, values in (("accuracy", self.accuracy), ("macro_f1", self.macro_f1))
            for end, value in zip(("low", "high"), interval(values), strict=True)
        }


def resample(
    targets: np.ndarray, predicted: np.ndarray, n_classes: int, groups: np.ndarray | None = None, resamples: int = 1000
) -> Resamples:
    """The figures of images drawn with replacement (the bootstrap; Efron and Tibshirani, 1993, chapter 13).

    Args:
        targets, predicted: Class indices, int of shape (n,).
        groups: Group or patient of each image, see ``draw``; None: single images are drawn.
    """
    units = np.arange(len(targets)) if groups is None else groups
    return weighted(targets, predicted, n_classes, draw(units, resamples))


def draw(groups: np.ndarray, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """How often each image is in each resample, float of shape (resamples, n).

    Whole groups or patients are drawn (the cluster bootstrap; Field and Welsh, 2007, J. R. Stat. Soc. B 69, 369–390):
    images of one source are right or wrong together, and drawing single images would make the interval too narrow.

    Args:
        groups: Group or patient of each image, of shape (n,), null where it has none: it is then one of its own.
    """
    unit = unit_numbers(groups)
    n_units = unit.max() + 1
    drawn = np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), resamples)
    return drawn[:, unit].astype(np.float64)


def weighted(targets: np.ndarray, predicted: np.ndarray, n_classes: int, weights: np.ndarray) -> Resamples:
    """Accuracy and F1 of images that count ``weights`` times, float of shape (resamples, n)."""
    one_hot = np.eye(n_classes)
    supports, answers = weights @ one_hot[targets], weights @ one_hot[predicted]
    hits = weights @ (one_hot[targets] * (targets == predicted)[:, None])
    f1 = np.divide(2 * hits, supports + answers, out=np.full_like(hits, np.nan), where=supports > 0)
    return Resamples(hits.sum(1) / weights.sum(1), f1)
