"""What people read after an evaluation."""

import re

import numpy as np

from mri_model.data.labels import parse_label
from mri_model.evaluation.metrics import Predictions, evaluate_predictions
from mri_model.report.text import describe_evaluation


def described(*names: str) -> list[str]:
    targets = np.tile(np.arange(len(names)), 10)
    predicted = np.where(np.arange(len(targets)) < len(names), 0, targets)
    labels = tuple(parse_label(name) for name in names)
    n = len(targets)
    predictions = Predictions(targets, predicted, np.zeros(n, bool), np.arange(n))
    return describe_evaluation(evaluate_predictions(predictions, labels)).splitlines()


def test_scores_are_shown_with_their_intervals_and_parts() -> None:
    first, second, *_ = described("A T1", "A T2", "B T1", "B T2")
    number = r"\d\.\d{3}"
    interval = rf"{number} \({number} to {number}\)"
    assert re.fullmatch(rf"accuracy {interval}, macro-F1 {interval} on 40 images", first)
    assert second == "  tumor alone 0.950, contrast alone 0.950"


def test_classes_without_contrast_have_no_parts() -> None:
    assert not any("alone" in line for line in described("glioma", "healthy"))
