"""The unit of the statistics: patients where every image has one, else groups."""

import numpy as np
import pandas as pd
import pytest

from mri_model.data.labels import parse_label
from mri_model.evaluation.metrics import Evaluation, evaluate_predictions
from mri_model.evaluation.units import add_patients, unit_numbers, unit_of, units
from tests.evaluation.samples import predictions

LABELS = (parse_label("A T1"), parse_label("B T1"))


def images(patients: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"group": range(len(patients)), "patient": pd.Series(patients, dtype=object)})


def test_the_unit_is_the_patient_only_if_every_image_has_one() -> None:
    known, partly = images(["p", "p", "q"]), images(["p", None, "q"])
    assert (unit_of(known), unit_of(partly), unit_of(known.drop(columns="patient"))) == ("patient", "group", "group")
    assert unit_numbers(units(known)).tolist() == [0, 0, 1]
    assert unit_numbers(units(partly)).tolist() == [0, 1, 2]


def test_sets_that_are_compared_have_one_unit() -> None:
    known, partly = images(["p", "p", "q"]), images(["p", None, "q"])
    assert unit_of(known, partly) == "group"
    assert units(known, unit_of(known, partly)).tolist() == [0, 1, 2]
    assert unit_of(known, known) == "patient"
    assert unit_of(known, partly.iloc[:0]) == "patient"  # no image of the second one is left


def test_an_image_of_no_group_is_a_unit_of_its_own() -> None:
    assert unit_numbers(np.array([7, None, 7, None], dtype=object)).tolist() == [0, 1, 0, 2]


def test_recorded_images_get_their_patients_by_path_and_bytes() -> None:
    rows = pd.DataFrame({"path": ["a", "b", "c"], "sha256": list("xyz"), "patient": ["p", "q", "folder"]})
    rows["series"] = ["s1", "s2", None]
    recorded = pd.DataFrame({"path": ["b", "c", "a"], "sha256": ["y", "z", "other"], "group_number": [1, 2, 3]})
    found = add_patients(recorded, rows)
    assert found["patient"].notna().tolist() == [True, False, False] and found.loc[0, "patient"] == "q"
    assert found.drop(columns="patient").equals(recorded)


def evaluated(groups: np.ndarray, patients: np.ndarray | None) -> Evaluation:
    """Images of which those of every third block of ten are answered wrong."""
    targets = np.tile([0, 1], 100)
    predicted = np.where(np.repeat(np.arange(20), 10) % 3 == 0, 1 - targets, targets)
    columns = {} if patients is None else {"patient": patients}
    return evaluate_predictions(predictions(targets, predicted, 2, group=groups, **columns), LABELS)


def ends(evaluation: Evaluation) -> tuple[float, float]:
    return evaluation.overall.accuracy_low, evaluation.overall.accuracy_high


def test_intervals_are_drawn_by_patient_where_every_image_has_one() -> None:
    blocks, singly = np.repeat(np.arange(20), 10), np.arange(200)
    patients = np.array([f"p{block}" for block in blocks], dtype=object)
    by_patient, by_group = evaluated(singly, patients), evaluated(blocks, None)
    assert (by_patient.unit, by_group.unit) == ("patient", "group")
    assert ends(by_patient) == ends(by_group) != ends(evaluated(singly, None))
    pd.testing.assert_frame_equal(by_patient.classes, by_group.classes)
    assert by_patient.classes["n_groups"].tolist() == [20, 20]
    assert (by_patient.overall.group_n, by_patient.overall.examination_n) == (40, 40)  # each has both tumor types


def test_one_image_without_a_patient_leaves_the_intervals_to_the_groups() -> None:
    patients = np.array([f"p{row // 10}" for row in range(200)], dtype=object)
    patients[3] = None
    partly, none = evaluated(np.arange(200), patients), evaluated(np.arange(200), None)
    assert partly.unit == "group" and ends(partly) == ends(none)


@pytest.mark.parametrize("patients", [None, np.array(["p", "q"] * 100, dtype=object)])
def test_patients_are_not_written_to_the_results_database(patients: np.ndarray | None) -> None:
    found = evaluated(np.arange(200), patients)
    assert "patient" in found.images and "patient" not in found.tables["evaluated_image"]
