"""Accuracy by source: the images of one group are answered together, as a physician reads an examination."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.data.labels import Label


@dataclass(frozen=True)
class GroupMetrics:
    """Accuracy of the mean of the probabilities over several images, in 0–1.

    Attributes:
        examination_n: Number of examinations: the images of one group and one class, thus of one contrast.
        examination_accuracy: How often the class with the highest mean probability is right.
        group_n: Number of groups.
        group_tumor_accuracy: How often the tumor type with the highest mean probability, over all images of a group of
            whatever contrast, is right.
    """

    examination_n: int
    examination_accuracy: float
    group_n: int
    group_tumor_accuracy: float


def per_group(
    targets: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, labels: tuple[Label, ...]
) -> GroupMetrics:
    """Accuracy by examination and by group.

    Args:
        targets: Class indices, int of shape (n,), n > 0.
        probabilities: Float of shape (n, classes).
        groups: Group of each image, of shape (n,), null where it has none: it is then a group of its own.
    """
    tumors, tumor = np.unique([label.tumor for label in labels], return_inverse=True)
    tumor_probabilities = probabilities.astype(np.float64) @ np.eye(len(tumors))[tumor]
    unit = unit_numbers(groups)
    examinations = joint_answers(unit, targets, probabilities)
    sources = joint_answers(unit, tumor[targets], tumor_probabilities)
    return GroupMetrics(len(examinations), float(examinations.mean()), len(sources), float(sources.mean()))


def joint_answers(unit: np.ndarray, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether the highest mean probability over the images of one unit and one target is the target's, per such set."""
    sets, number = np.unique(np.column_stack([unit, targets]), axis=0, return_inverse=True)
    total = np.zeros((len(sets), probabilities.shape[1]))
    np.add.at(total, number, probabilities)
    return total.argmax(axis=1) == sets[:, 1]


def unit_numbers(groups: np.ndarray) -> np.ndarray:
    """The number of each image's group; an image without a group is one of its own. int of shape (n,)."""
    codes, names = pd.factorize(groups)
    alone = codes < 0
    return np.where(alone, len(names) + np.cumsum(alone) - 1, codes)
