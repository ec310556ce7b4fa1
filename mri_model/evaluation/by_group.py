"""Accuracy by source: the images of one unit are answered together, as a physician reads an examination.

The unit is the patient if every image has one, else the group (see ``evaluation.units``).
"""

from dataclasses import dataclass

import numpy as np

from mri_model.data.labels import Label
from mri_model.evaluation.units import unit_numbers


@dataclass(frozen=True)
class GroupMetrics:
    """Accuracy of the mean of the probabilities over several images, in 0–1.

    Attributes:
        examination_n: Number of examinations: the images of one unit and one class, thus of one contrast.
        examination_accuracy: How often the class with the highest mean probability is right.
        group_n: Number of units; of a patient with several tumor types, one for each.
        group_tumor_accuracy: How often the tumor type with the highest mean probability, over all images of a unit of
            whatever contrast, is right.
    """

    examination_n: int
    examination_accuracy: float
    group_n: int
    group_tumor_accuracy: float


def per_group(
    targets: np.ndarray, probabilities: np.ndarray, units: np.ndarray, labels: tuple[Label, ...]
) -> GroupMetrics:
    """Accuracy by examination and by unit.

    Args:
        targets: Class indices, int of shape (n,), n > 0.
        probabilities: Float of shape (n, classes).
        units: Unit of each image, of shape (n,), null where it has none: it is then a unit of its own.
    """
    tumors, tumor = np.unique([label.tumor for label in labels], return_inverse=True)
    tumor_probabilities = probabilities.astype(np.float64) @ np.eye(len(tumors))[tumor]
    unit = unit_numbers(units)
    examinations = joint_answers(unit, targets, probabilities)
    sources = joint_answers(unit, tumor[targets], tumor_probabilities)
    return GroupMetrics(len(examinations), float(examinations.mean()), len(sources), float(sources.mean()))


def joint_answers(unit: np.ndarray, targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether the highest mean probability over the images of one unit and one target is the target's, per such set."""
    sets, number = np.unique(np.column_stack([unit, targets]), axis=0, return_inverse=True)
    total = np.zeros((len(sets), probabilities.shape[1]))
    np.add.at(total, number, probabilities)
    return total.argmax(axis=1) == sets[:, 1]
