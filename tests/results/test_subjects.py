"""Answers say what they are about and, without rows, why."""

from typing import Any

import pytest

from mri_model.errors import MriError, UsageError
from mri_model.results.store import Store
from mri_model.results.upgrade import SQL
from tests.results import result_samples as samples
from tests.results.question_samples import labelled, promote_old, record_models, record_scored

DATA = {"dataset": "d1", "data": "/data/mri"}
OLD = {"model": "m-old", "stage": "champion", "protocol": "random"}
NEW = {"model": "m-new", "stage": "candidate", "protocol": "grouped"}
TESTED = {"split": "test", "images": 672, **DATA}


def test_answers_about_a_model_name_it_with_its_evaluation_and_data(store: Store) -> None:
    record_models(store)
    promote_old(store)
    old = {**OLD, "evaluation": "e-old", **TESTED}
    new = {**NEW, "evaluation": "e-new", **TESTED}
    assert store.ask("worst-classes").about == [old]
    assert store.ask("worst-classes", model="m-n").about == [new]
    assert store.ask("compare", model="m-n").about == [new, old]
    assert store.ask("report-table-5").about == [new]
    assert store.ask("epochs", model="m-o").about == [{**OLD, **DATA}]


def test_answers_about_a_pooled_evaluation_name_the_sweep(store: Store) -> None:
    record_models(store)
    store.record_sweep({"id": "folds-1", "kind": "folds"}, ["m-old", "m-new"])
    later = samples.later(9)
    samples.record_evaluation(store, id="pooled", model_id=None, sweep_id="folds-1", created_at=later)
    assert store.ask("confusions").about == [{"sweep": "folds-1", "evaluation": "pooled", **TESTED}]


def test_answers_about_data_and_scored_files_name_them(store: Store) -> None:
    record_models(store)
    promote_old(store)
    record_scored(store, "r1", "m-old", 4, labelled("/in/a.jpg", "Papiloma T1"))
    record_scored(store, "r2", "m-new", 5, labelled("/in/a.jpg", "Papiloma T2"))
    store.record_dataset(samples.dataset(digest="d2", profile="arrived", ingested_at=samples.later(9)), [])
    for name in ("report-table-1", "always-wrong"):
        assert store.ask(name).about == [DATA]
    assert store.ask("predictions").about == [{"run": "r2", "folder": "/in", **NEW}]
    assert store.ask("unscored").about == [{"folder": "/in"}]
    assert store.ask("drift").about == [{**OLD, **DATA}]
    assert store.ask("label-changes").about == [{**OLD, **DATA}, {**NEW, **DATA}]
    assert store.ask("scored-mix").about == [{**OLD, **DATA}]
    assert store.ask("scored-mix", model="m-n").about == [{**NEW, **DATA}]
    assert store.ask("models").about == []


def test_every_subject_is_used_and_exists(store: Store) -> None:
    used = {question.about for question in store.questions().values() if question.about}
    assert used == {file.stem for file in (SQL / "subjects").glob("*.sql")}


def test_without_rows_every_answer_says_why(store: Store) -> None:
    reasons = {name: store.ask(name).reason for name in store.questions()}
    assert [name for name, reason in reasons.items() if "; run: mri " not in reason] == []
    expected = {
        "report-table-1": "nothing is ingested yet; run: mri ingest DATA",
        "models": "nothing is trained yet; run: mri train",
        "worst-classes": "nothing is evaluated yet; run: mri evaluate",
        "predictions": "nothing is scored yet; run: mri score FOLDER",
        "champion": "nothing is trained yet; run: mri train",
    }
    assert {name: reasons[name] for name in expected} == expected
    samples.record_model(store)
    assert store.ask("champion").reason == "no model was promoted yet; run: mri promote MODEL"


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("worst-classes", {}, "model untested has no test evaluation; run: mri evaluate --model untested"),
        ("coverage", {"model": "m-old"}, "this evaluation is older than the rows of its images; run: mri evaluate"),
        (
            "compare",
            {"model": "m-old", "other": "untested"},
            "model untested has no test evaluation; run: mri evaluate",
        ),
        (
            "compare",
            {"model": "m-old", "other": "m-else"},
            "no two models are evaluated on the same data set and split",
        ),
        ("label-changes", {}, "nothing is scored yet; run: mri score FOLDER"),
        ("sweeps", {}, "there is no sweep yet; run: mri train --seeds 3"),
    ],
)
def test_the_reason_names_the_model_that_is_not_evaluated(
    store: Store, name: str, given: dict[str, Any], reason: str
) -> None:
    samples.record_model(store, id="m-old")
    samples.record_data(store)
    store.record_dataset(samples.dataset(digest="d2"), [])
    for model in ("m-else", "untested"):
        store.record_model(samples.model(id=model), [])
    store.record_evaluation(samples.evaluation(id="e1", model_id="m-old"))
    store.record_evaluation(samples.evaluation(id="e2", model_id="m-else", dataset_digest="d2"))
    samples.record_promotion(store, "untested", "champion", 3)
    answer = store.ask(name, **given)
    assert answer.rows.empty and answer.reason.startswith(reason)


def test_an_answer_with_rows_has_no_reason(store: Store) -> None:
    record_models(store)
    assert store.ask("worst-classes").reason == ""


def test_a_model_that_does_not_exist_is_an_error_and_an_unknown_question_wrong_usage(store: Store) -> None:
    record_models(store)
    with pytest.raises(MriError, match="no model has an id that starts with 'x'") as caught:
        store.ask("worst-classes", model="x")
    assert caught.value.exit_code == 1
    with pytest.raises(UsageError, match="there is no question 'worst-clases'"):
        store.ask("worst-clases")
