import numpy as np
import pandas as pd
import pytest

from mri_model.evaluation.comparison import Difference, compare, permutation_test

LABELS = ("A", "B", "C")


def rows(answers: list[str], truth: list[str], groups: list[object] | None = None) -> pd.DataFrame:
    """Rows of evaluated images, as far as they are compared."""
    paths = [f"{n}.png" for n in range(len(truth))]
    columns = {"path": paths, "sha256": paths, "true_label": truth, "predicted_label": answers}
    return pd.DataFrame({**columns, "group_number": groups or list(range(len(truth)))})


def compared(first: pd.DataFrame, second: pd.DataFrame) -> Difference:
    found = compare(first, second, LABELS)
    assert found
    return found


def test_equal_answers_differ_by_nothing() -> None:
    truth = ["A", "B"] * 20
    answers = ["A"] * 40
    found = compared(rows(answers, truth), rows(answers, truth))
    assert (found.n, found.n_groups, found.accuracy, found.macro_f1, found.changed) == (40, 40, 0.0, 0.0, 0)
    assert (found.accuracy_low, found.accuracy_high, found.p_value) == (0.0, 0.0, 1.0)
    assert found.classes["label"].tolist() == ["A", "B"]


def test_only_common_images_are_compared_whatever_their_order() -> None:
    truth = ["A", "B", "A", "B"]
    first = rows(["A", "B", "B", "B"], truth)
    second = rows(["A", "A", "A", "B"], truth).iloc[[3, 2, 0]]
    found = compared(first, second)
    assert (found.n, found.changed, found.accuracy) == (3, 1, pytest.approx(1 / 3))
    assert compare(first.head(1), second.head(1), LABELS) is None


def test_a_real_improvement_is_beyond_chance_and_its_classes_show_it() -> None:
    truth = ["A", "B"] * 50
    found = compared(rows(["A"] * 100, truth), rows(truth, truth))
    assert found.accuracy == 0.5 and found.accuracy_low > 0.35 and found.p_value < 0.001
    classes = found.classes.set_index("label")
    assert classes.loc["B", ["first", "second", "difference", "n", "n_groups"]].tolist() == [0, 1, 1, 50, 50]


def test_one_group_that_changes_is_no_evidence() -> None:
    truth = ["A"] * 40
    first = rows(["A"] * 40, truth, [0] * 20 + list(range(1, 21)))
    second = rows(["B"] * 20 + ["A"] * 20, truth, [0] * 20 + list(range(1, 21)))
    found = compared(first, second)
    assert found.accuracy == -0.5 and found.p_value == 1.0
    singly = compared(first.assign(group_number=range(40)), second.assign(group_number=range(40)))
    assert singly.p_value < 0.001


def test_images_are_compared_by_patient_if_every_common_image_has_one() -> None:
    truth = ["A"] * 40
    patients = ["p0"] * 20 + [f"p{number}" for number in range(1, 21)]
    first = rows(["A"] * 40, truth).assign(patient=patients)
    second = rows(["B"] * 20 + ["A"] * 20, truth).assign(patient=patients)
    found = compared(first, second)
    assert (found.unit, found.n_groups, found.p_value) == ("patient", 21, 1.0)
    assert found.classes["n_groups"].tolist() == [21]
    singly = compared(first.drop(columns="patient"), second.drop(columns="patient"))
    assert (singly.unit, singly.n_groups) == ("group", 40) and singly.p_value < 0.001
    first.loc[0, "patient"] = None
    assert compared(first, second).unit == "group"
    assert compared(first, second.iloc[1:]).unit == "patient"  # the image without a patient is not common


def test_equally_good_answers_are_seldom_called_different() -> None:
    rng = np.random.default_rng(0)
    found = [permutation_test(rng.integers(-1, 2, 60), np.arange(60), seed) for seed in range(200)]
    assert np.mean(np.array(found) < 0.05) < 0.1
