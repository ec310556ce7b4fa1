"""Evaluating again: is the answer still the same on frozen images, and as good on images that arrived since?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.evaluation.metrics import Evaluation
from mri_model.evaluation.units import Unit, unit_numbers, unit_of, units

SAME_PROBABILITY = 1e-4
"""Probabilities that differ by less are the same: another number of threads changes the last bits."""

MIN_IMAGES, MIN_GROUPS = 50, 10
"""With fewer images, or images of fewer groups, a drop is not judged."""

MIN_DROP = 0.05
"""A smaller drop is not worth an alarm, however certain it is."""

ALARM = 0.01
"""A drop is real if chance alone would give one as large with a lower probability than this."""

PERMUTATIONS = 10_000


@dataclass(frozen=True)
class Repetition:
    """The same evaluation, some time later.

    Attributes:
        last_id: Id of the evaluation before.
        n: Number of images.
        n_other_images: Images that only one of the two evaluations has.
        n_changed: Images with another answer.
        largest_change: Largest difference of the probability of an image's answer, in 0–1.
    """

    last_id: str
    n: int
    n_other_images: int
    n_changed: int
    largest_change: float


@dataclass(frozen=True)
class Drop:
    """Accuracy on images that arrived, against that on the test split.

    Attributes:
        n: Number of arrived images whose class the test split has.
        unit: What was exchanged: ``patient`` if every image of both sets has one, else ``group``.
        n_groups: Number of groups or patients they are of.
        accuracy: Accuracy on them, in 0–1.
        expected: Accuracy on the test images, weighted so that every class counts as often as among the arrived ones.
        p_value: Probability of a drop at least as large if both were alike; None if too few images arrived.
    """

    n: int
    unit: Unit
    n_groups: int
    accuracy: float
    expected: float
    p_value: float | None

    @property
    def is_real(self) -> bool:
        return self.p_value is not None and self.p_value < ALARM and self.expected - self.accuracy >= MIN_DROP


@dataclass(frozen=True)
class Reevaluation:
    """What a re-evaluation found.

    Attributes:
        evaluation: On the frozen test split.
        repetition: How it differs from the last one; None if there is none.
        arrived: The evaluation of images that arrived since; None if none were asked for.
        drop: How it compares with the test split.
    """

    evaluation: Evaluation
    repetition: Repetition | None
    arrived: Evaluation | None = None
    drop: Drop | None = None

    @property
    def problems(self) -> list[str]:
        """What is not as it was, with numbers; empty if nothing changed."""
        return list(self.list_problems())

    def list_problems(self) -> Iterator[str]:
        if (found := self.repetition) and is_other(found):
            yield (
                f"on frozen images {found.n_changed} of {found.n} answers differ from evaluation {found.last_id}, "
                f"probabilities by up to {found.largest_change:.4f}"
                + (f", and {found.n_other_images} images are in only one of the two" if found.n_other_images else "")
                + ": the environment, the files or the weights changed"
            )
        if (drop := self.drop) and drop.is_real:
            yield (
                f"accuracy on {drop.n} arrived images of {drop.n_groups} {drop.unit}s is {drop.accuracy:.3f} where the "
                f"test split gives {drop.expected:.3f} (p = {drop.p_value:.4f})"
            )


def is_other(found: Repetition) -> bool:
    return bool(found.n_changed or found.n_other_images or found.largest_change > SAME_PROBABILITY)


def repeat(last_id: str, last: pd.DataFrame, now: pd.DataFrame) -> Repetition:
    """Compare the rows (``metrics.per_image``) of two evaluations of one model on one split."""
    both = last.merge(now, on="path", suffixes=("", "_now"))
    same = both["predicted_label"] == both["predicted_label_now"]
    change = (both["probability"] - both["probability_now"]).abs()
    return Repetition(
        last_id=last_id,
        n=len(now),
        n_other_images=len(last) + len(now) - 2 * len(both),
        n_changed=int((~same).sum()),
        largest_change=float(change.max()) if len(change) else 0.0,
    )


def measure_drop(test: pd.DataFrame, arrived: pd.DataFrame, seed: int = 0) -> Drop | None:
    """Compare two sets of images of one model; None if they have no class in common.

    Within each class, patients (or groups, where not every image has a patient) are exchanged between the two sets at
    random: a permutation test stratified by class (see Good, "Permutation, parametric and bootstrap tests of
    hypotheses", 2005), so that another mix of classes is no drop.

    Args:
        test, arrived: Rows of ``metrics.per_image``. Arrived images that are test images do not count.
    """
    arrived = arrived[~arrived["sha256"].isin(test["sha256"])]
    classes = set(test["true_label"]) & set(arrived["true_label"])
    test, arrived = (each[each["true_label"].isin(classes)] for each in (test, arrived))
    unit = unit_of(test, arrived)
    counted = pd.concat([count_units(each, unit, is_new) for each, is_new in ((test, False), (arrived, True))])
    if counted.empty:
        return None
    new = counted["arrived"].to_numpy(bool)
    label = pd.factorize(counted["true_label"])[0]
    right, size = counted["right"].to_numpy(float), counted["size"].to_numpy(float)
    weight = np.bincount(label[new], size[new], label.max() + 1) / size[new].sum()
    observed = loss(new, label, right, size, weight)
    accuracy = right[new].sum() / size[new].sum()
    n, n_groups = int(size[new].sum()), int(new.sum())
    p_value = None
    if n >= MIN_IMAGES and n_groups >= MIN_GROUPS:
        rng = np.random.default_rng(seed)
        chance = [loss(exchanged(new, label, rng), label, right, size, weight) for _ in range(PERMUTATIONS)]
        p_value = float((1 + (np.array(chance) >= observed).sum()) / (1 + PERMUTATIONS))
    return Drop(n, unit, n_groups, float(accuracy), float(accuracy + observed), p_value)


def count_units(images: pd.DataFrame, unit: Unit, arrived: bool) -> pd.DataFrame:
    """One row per unit and class: true_label, size (images), right (right answers), arrived."""
    number = unit_numbers(units(images, unit))
    right = images["true_label"] == images["predicted_label"]
    rows = images.assign(unit=number, right=right).groupby(["true_label", "unit"])["right"]
    return rows.agg(right="sum", size="size").reset_index().assign(arrived=arrived)


def loss(new: np.ndarray, label: np.ndarray, right: np.ndarray, size: np.ndarray, weight: np.ndarray) -> float:
    """Accuracy of the other units minus that of the new ones, class by class, weighted."""
    n = len(weight)
    rates = [
        np.bincount(label[each], right[each], n) / np.maximum(np.bincount(label[each], size[each], n), 1)
        for each in (~new, new)
    ]
    return float(((rates[0] - rates[1]) * weight).sum())


def exchanged(new: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``new`` shuffled within each class."""
    order, shuffled = np.lexsort((np.arange(len(label)), label)), np.lexsort((rng.random(len(label)), label))
    result = np.empty_like(new)
    result[order] = new[shuffled]
    return result
