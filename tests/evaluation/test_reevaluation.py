from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mri_model.evaluation.reevaluation import ALARM, Reevaluation, measure_drop, repeat
from tests.evaluation.test_comparison import rows


def with_probability(images: pd.DataFrame, value: float = 0.9) -> pd.DataFrame:
    return images.assign(probability=value)


def found(**parts: object) -> list[str]:
    return replace(Reevaluation(None, None), **parts).problems  # type: ignore[arg-type]


def test_the_same_answers_are_no_problem_and_neither_are_last_bits() -> None:
    last = with_probability(rows(["A", "B"], ["A", "A"]))
    repetition = repeat("e1", last, last.assign(probability=0.9 + 1e-6))
    assert (repetition.n, repetition.n_changed, repetition.n_other_images) == (2, 0, 0)
    assert repetition.largest_change == pytest.approx(1e-6)
    assert found(repetition=repetition) == []
    assert found() == []


def test_changed_answers_probabilities_and_images_are_told_with_numbers() -> None:
    last = with_probability(rows(["A", "B", "A"], ["A", "A", "A"]))
    (told,) = found(repetition=repeat("e1", last, last.assign(predicted_label=["A", "A", "A"])))
    assert told.startswith("on frozen images 1 of 3 answers differ from evaluation e1")
    (told,) = found(repetition=repeat("e1", last, last.assign(probability=[0.9, 0.9, 0.8])))
    assert "0 of 3 answers differ" in told and "by up to 0.1000" in told
    (told,) = found(repetition=repeat("e1", last, last.iloc[:2]))
    assert "1 images are in only one of the two" in told


def answers(n: int, accuracy: float, seed: int, per_group: int = 2, labels: str = "AB") -> pd.DataFrame:
    """Images whose groups are right or wrong as a whole."""
    rng = np.random.default_rng(seed)
    right = np.repeat(rng.random(n // per_group) < accuracy, per_group)
    truth = np.repeat(np.array(list(labels))[np.arange(n // per_group) % len(labels)], per_group)
    groups = [int(number) for number in np.repeat(np.arange(n // per_group), per_group)]
    return rows(np.where(right, truth, "C").tolist(), truth.tolist(), groups).assign(  # type: ignore[arg-type]
        sha256=[f"{seed} {number}" for number in range(n)]
    )


def test_a_real_drop_is_told_and_a_small_or_uncertain_one_is_not() -> None:
    test = answers(400, 0.8, 0)
    drop = measure_drop(test, answers(200, 0.5, 1))
    assert drop and drop.is_real and drop.p_value and drop.p_value < ALARM
    assert found(drop=drop)[0].startswith("accuracy on 200 arrived images of 100 groups is 0.")
    for arrived in (answers(200, 0.8, 2), answers(40, 0.3, 3), answers(200, 0.9, 4)):
        again = measure_drop(test, arrived)
        assert again and not again.is_real and found(drop=again) == []
    few = measure_drop(test, answers(60, 0.0, 5, per_group=30))
    assert few and few.p_value is None and few.n_groups == 2


def test_a_drop_is_measured_by_patient_only_if_both_sets_have_patients() -> None:
    test, arrived = (
        images.assign(patient=[f"{seed} {row // 4}" for row in range(len(images))])
        for seed, images in ((0, answers(400, 0.8, 0, per_group=4)), (1, answers(200, 0.5, 1, per_group=4)))
    )
    singly = {"group_number": range(200)}
    both = measure_drop(test, arrived.assign(**singly))
    assert both and (both.unit, both.n_groups) == ("patient", 50)
    told = found(drop=both)
    assert not told or "arrived images of 50 patients is" in told[0]
    one = measure_drop(test.drop(columns="patient"), arrived.assign(**singly))
    assert one and (one.unit, one.n_groups) == ("group", 200)


def test_another_mix_of_classes_is_no_drop() -> None:
    easy, hard = answers(200, 0.95, 0, labels="A"), answers(200, 0.4, 1, labels="B")
    test = pd.concat([easy, hard.assign(path=hard["path"] + "b", group_number=hard["group_number"] + 1000)])
    drop = measure_drop(test, answers(200, 0.4, 2, labels="B"))
    assert drop and not drop.is_real and drop.expected == pytest.approx(0.4, abs=0.1)


def test_images_of_unknown_classes_are_not_compared() -> None:
    assert measure_drop(answers(20, 1, 0, labels="A"), answers(20, 1, 1, labels="B")) is None


@pytest.mark.slow
def test_false_alarms_are_rare() -> None:
    test = answers(300, 0.7, 0)
    alarms = [measure_drop(test, answers(120, 0.7, seed), seed) for seed in range(1, 21)]
    assert sum(bool(drop and drop.is_real) for drop in alarms) <= 1


def test_figures_of_a_drop_come_out_the_same_again() -> None:
    test, arrived = answers(100, 0.7, 0), answers(100, 0.6, 1)
    assert measure_drop(test, arrived) == measure_drop(test, arrived)


def test_the_test_images_themselves_have_not_arrived() -> None:
    test = answers(100, 0.9, 0)
    arrived = pd.concat([test, answers(60, 0.1, 1)])
    drop = measure_drop(test, arrived)
    assert drop and drop.n == 60 and drop.is_real
    assert measure_drop(test, test) is None
