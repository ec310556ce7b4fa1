from dataclasses import replace

import numpy as np

from mri_model.evaluation.comparison import Difference, compare
from mri_model.evaluation.gate import fold_objection, objections
from mri_model.models.metadata import ModelMetadata
from tests.evaluation.test_comparison import rows
from tests.models.test_choice import MODEL

CLASSES = ("A", "B", "C")
TRUTH = ["A"] * 60 + ["B"] * 60 + ["C"] * 8


def model(**changes: object) -> ModelMetadata:
    return replace(MODEL, **{"classes": CLASSES, "protocol": "random", **changes})  # type: ignore[arg-type]


def difference(champion: list[str], candidate: list[str], truth: list[str] = TRUTH) -> Difference | None:
    return compare(rows(champion, truth), rows(candidate, truth), CLASSES)


def with_errors(n: int, seed: int) -> list[str]:
    answers = list(TRUTH)
    for place in np.random.default_rng(seed).choice(120, n, replace=False):
        answers[place] = "A" if answers[place] == "B" else "B"
    return answers


def test_a_model_that_is_as_good_or_better_passes() -> None:
    for n in (20, 24, 5):
        assert not list(objections(model(), model(), difference(with_errors(20, 0), with_errors(n, 1))))


def test_a_model_that_is_worse_beyond_chance_is_refused_with_numbers() -> None:
    (accuracy, macro_f1) = objections(model(), model(), difference(with_errors(10, 0), with_errors(40, 1)))
    assert accuracy.startswith("its accuracy is lower by 0.23") and "on 128 images of 128 groups" in accuracy
    assert macro_f1.startswith("its macro-F1 is lower by")


def test_an_objection_counts_patients_where_they_are_known() -> None:
    champion, candidate = (
        rows(with_errors(n, seed), TRUTH).assign(patient=[f"p{row // 2}" for row in range(128)])
        for n, seed in ((10, 0), (40, 1))
    )
    (accuracy, *_) = objections(model(), model(), compare(champion, candidate, CLASSES))
    assert "on 128 images of 64 patients" in accuracy


def test_a_class_that_falls_off_a_cliff_is_named_even_if_the_rest_improves() -> None:
    candidate = [*TRUTH[:120], "A", "A", "B", "B", "A", "B", "A", "B"]
    (told,) = [
        text for text in objections(model(), model(), difference(with_errors(30, 0), candidate)) if "cliff" in text
    ]
    assert told == "F1 falls off a cliff in C 1.00 → 0.00 (8 images)"


def test_a_fold_of_a_cross_validation_is_refused() -> None:
    assert not list(fold_objection(model(), None))
    (told,) = fold_objection(model(recipe={"fold": 2, "folds": 5}), None)
    assert told == "it is fold 2 of 5 of a cross-validation, trained on a part of the images"


def test_what_cannot_be_compared_is_refused() -> None:
    same = difference(TRUTH, TRUTH)
    assert "protocol" in next(objections(model(protocol="grouped"), model(), same))
    (told,) = objections(model(classes=("A", "B", "D")), model(), None)
    assert told == "its classes are not the champion's: it does not know C; the champion does not know D"
    (told,) = objections(model(classes=("B", "A", "C")), model(), None)
    assert told.endswith("their order differs")
    (told,) = objections(model(), model(), difference(TRUTH[:20], TRUTH[:20], TRUTH[:20]))
    assert told == "both have 20 test images in common; 30 are needed"
    (told,) = objections(model(), model(), None)
    assert told.startswith("both have 0 test images")
