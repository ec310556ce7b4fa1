"""What people read after an evaluation."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from mri_model.data.labels import parse_label
from mri_model.evaluation.metrics import NEAR_DUPLICATE, SIMILAR, UNLIKE, evaluate_predictions
from mri_model.report.text import describe_evaluation
from tests.evaluation.samples import predictions


def described(*names: str, n_seen: int = 0, kind: str = NEAR_DUPLICATE, **columns: Any) -> list[str]:
    targets = np.tile(np.arange(len(names)), 10)
    predicted = np.where(np.arange(len(targets)) < len(names), 0, targets)
    labels = tuple(parse_label(name) for name in names)
    kinds = np.where(np.arange(len(targets)) < len(names), UNLIKE, kind)
    found = predictions(targets, predicted, len(names), duplicate_free=kinds == UNLIKE, resemblance=kinds, **columns)
    return describe_evaluation(replace(evaluate_predictions(found, labels), n_seen=n_seen)).splitlines()


def test_scores_are_shown_with_their_intervals_and_parts() -> None:
    first, second, *_ = described("A T1", "A T2", "B T1", "B T2")
    number = r"\d\.\d{3}"
    interval = rf"{number} \({number} to {number}\)"
    assert re.fullmatch(rf"accuracy {interval}, macro-F1 {interval} on 40 images", first)
    assert second == "  tumor alone 0.950, contrast alone 0.950"


def test_classes_without_contrast_have_no_parts() -> None:
    assert not any("alone" in line for line in described("glioma", "healthy"))


def test_accuracy_is_told_by_resemblance_to_the_training_images() -> None:
    told = "  1.000 on 36 images with a near duplicate in training, 0.250 on 4 unlike any training image"
    assert told in described("A T1", "A T2", "B T1", "B T2")
    lines = described("glioma", "healthy", kind=SIMILAR)
    assert "  0.500 on 2 unlike any training image" in lines
    assert "  1.000 on 18 images in between" in lines


def test_classes_tested_on_few_groups_are_counted() -> None:
    told = "  1 of 2 classes is tested on 5 independent groups or fewer: such a figure means little"
    assert told in described("A T1", "B T1", group=np.where(np.arange(20) % 2, np.arange(20), 0))
    assert not any("few" in line for line in described("A T1", "B T1"))


def test_the_unit_of_the_intervals_is_told() -> None:
    lines = described("A T1", "B T1")
    assert "  the 95 % intervals in parentheses are drawn by group" in lines
    patients = np.array([f"p{row // 4}" for row in range(20)], dtype=object)
    lines = described("A T1", "B T1", patient=patients)
    assert "  the 95 % intervals in parentheses are drawn by patient" in lines
    assert any("tumor by patient " in line for line in lines)
    assert "  2 of 2 classes are tested on 5 patients or fewer: such a figure means little" in lines


def test_images_that_were_left_out_are_told_only_where_there_are_some() -> None:
    told = "  left out: 13 more images of this split, which the model was trained on or chosen by"
    assert told in described("A T1", "B T1", n_seen=13)
    assert not any("left out" in line for line in described("A T1", "B T1"))


def test_no_line_of_an_evaluation_is_wider_than_a_terminal() -> None:
    assert max(map(len, described("A T1", "A T2", "B T1", "B T2", n_seen=1234))) <= 100
