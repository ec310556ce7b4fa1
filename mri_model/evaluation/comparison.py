"""Two models' answers about the same images: by how much they differ, and whether chance explains it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.evaluation.bootstrap import Resamples, class_interval, draw, interval, weighted
from mri_model.evaluation.units import Unit, unit_numbers, unit_of, units

PERMUTATIONS = 10_000


@dataclass(frozen=True)
class Difference:
    """How much better the second of two answers is than the first, on the images that both have.

    Attributes:
        n: Number of common images: same path, same bytes.
        unit: What was drawn and exchanged: ``patient`` if every common image has one, else ``group``.
        n_groups: Number of groups or patients they are of.
        accuracy: Second minus first, in -1 to 1, with its 95 % interval ``accuracy_low`` to ``accuracy_high``;
            ``macro_f1`` likewise.
        p_value: Probability of an accuracy difference at least as large, in either direction, if the two were equally
            good (see ``permutation_test``).
        changed: Number of images with another answer.
        classes: One row per class that has common images: label, n, n_groups, first, second (F1), difference,
            difference_low, difference_high (95 % interval; NaN where ``bootstrap.class_interval`` gives none).
    """

    n: int
    unit: Unit
    n_groups: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    p_value: float
    changed: int
    classes: pd.DataFrame


def compare(first: pd.DataFrame, second: pd.DataFrame, labels: tuple[str, ...]) -> Difference | None:
    """Compare the answers of two evaluations on one manifest; None if they have no image in common.

    Both are drawn again together, by patient or group (the paired cluster bootstrap): what is difficult for both does
    not make their difference uncertain.

    Args:
        first, second: Rows of ``metrics.per_image``. The groups of the common images are those of ``first``.
        labels: The class names.
    """
    common = first.merge(second, on=["path", "sha256"], suffixes=("", "_2")).sort_values("path")
    if common.empty:
        return None
    index = {label: number for number, label in enumerate(labels)}
    targets, one, two = (
        common[name].map(index).to_numpy(np.intp) for name in ("true_label", "predicted_label", "predicted_label_2")
    )
    groups = units(common)
    weights = draw(groups)
    paired = [weighted(targets, answers, len(labels), weights) for answers in (one, two)]
    exact = [weighted(targets, answers, len(labels), np.ones((1, len(targets)))) for answers in (one, two)]
    accuracy, macro_f1 = (
        interval(getattr(paired[1], name) - getattr(paired[0], name)) for name in ("accuracy", "macro_f1")
    )
    gain = (two == targets).astype(np.int64) - (one == targets)
    return Difference(
        n=len(common),
        unit=unit_of(common),
        n_groups=int(unit_numbers(groups).max()) + 1,
        accuracy=float(gain.mean()),
        accuracy_low=float(accuracy[0]),
        accuracy_high=float(accuracy[1]),
        macro_f1=float(exact[1].macro_f1[0] - exact[0].macro_f1[0]),
        macro_f1_low=float(macro_f1[0]),
        macro_f1_high=float(macro_f1[1]),
        p_value=permutation_test(gain, groups),
        changed=int((one != two).sum()),
        classes=class_differences(common, exact, paired, labels),
    )


def class_differences(
    common: pd.DataFrame, exact: list[Resamples], paired: list[Resamples], labels: tuple[str, ...]
) -> pd.DataFrame:
    """The classes of a ``Difference``."""
    table = pd.DataFrame({"label": labels, "first": exact[0].f1[0], "second": exact[1].f1[0]})
    table["difference"] = table["second"] - table["first"]
    numbers = common.assign(unit=unit_numbers(units(common))).groupby("true_label")["unit"]
    counts = pd.DataFrame({"n": numbers.size(), "n_groups": numbers.nunique()}).reindex(labels, fill_value=0)
    low, high = class_interval(paired[1].f1 - paired[0].f1, counts["n_groups"].to_numpy())
    table["difference_low"], table["difference_high"] = low, high
    joined = counts.merge(table, left_index=True, right_on="label")
    return joined[joined["n"] > 0].reset_index(drop=True)


def permutation_test(gain: np.ndarray, groups: np.ndarray, seed: int = 0) -> float:
    """Two-sided test of whether two answers are equally good: exchange them in whole groups or patients, at random.

    See Good, "Permutation, parametric and bootstrap tests of hypotheses", 2005, chapter 3. The images as they are count
    as one of the permutations.

    Args:
        gain: Per image 1, 0 or -1: whether the second answer is right minus whether the first is. Shape (n,).
        groups: Group or patient of each image, of shape (n,), null where it has none: it is then one of its own.

    Returns:
        The p-value, above 0 and at most 1.
    """
    total = np.bincount(unit_numbers(groups), gain)
    sums = np.random.default_rng(seed).choice([-1.0, 1.0], (PERMUTATIONS, len(total))) @ total
    return float((1 + (np.abs(sums) >= abs(total.sum())).sum()) / (1 + PERMUTATIONS))
