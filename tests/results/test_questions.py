"""Questions: their parameters, whom they are about, and how answers look."""

from typing import Any

import pandas as pd
import pytest

from mri_model.errors import MriError, UsageError
from mri_model.report.tables import format_table
from mri_model.results import schema
from mri_model.results.columns import UtcDateTime, is_moment
from mri_model.results.questions import DERIVED, bound_names, questions
from mri_model.results.store import Store
from mri_model.results.subjects import FACTS, KINDS, subject_sql
from tests.results import result_samples as samples
from tests.results.question_samples import (
    IDS,
    IN_ROWS,
    labelled,
    listed,
    now,
    promote_old,
    record_models,
    record_scored,
    scores,
)


def test_a_query_binds_exactly_the_parameters_it_declares() -> None:
    for name, question in questions().items():
        declared = set(question.parameters)
        derived = set(DERIVED) if declared & {"day", "days"} else set()
        chosen = subject_sql(question.about) if question.about else ""
        bound = question.bound | bound_names(chosen)
        columns = {*KINDS, *FACTS} if question.about else set()
        assert bound - derived - columns - {"other"} == declared - {"day", "days", "model", "other", "folder"}, name
        assert declared - {"day", "days"} <= bound, name
        assert all("default: " in text for text in question.parameters.values()), name


def test_moments_of_answers_are_known_by_their_names() -> None:
    columns = [column for table in schema.metadata.tables.values() for column in table.columns]
    for column in columns:
        assert is_moment(column.name) == isinstance(column.type, UtcDateTime), column


def test_the_champion_is_the_last_promoted_model_that_still_is_one(store: Store) -> None:
    record_models(store)
    assert store.query("champion").empty
    samples.record_promotion(store, "m-old", "champion", 3, who="ada", why="first")
    assert listed(store.query("champion")) == [["m-old", samples.later(3), "ada", "first"]]
    samples.record_promotion(store, "m-old", "retired", 4)
    samples.record_promotion(store, "m-new", "champion", 4, who="bob", why="better")
    assert listed(store.query("champion")) == [["m-new", samples.later(4), "bob", "better"]]
    assert listed(store.query("model-stage")) == [
        ["m-new", "champion", samples.later(4)],
        ["m-old", "retired", samples.later(4)],
    ]
    samples.record_promotion(store, "m-new", "candidate", 5)
    assert store.query("champion").empty


def test_of_two_champions_the_later_promoted_one_counts(store: Store) -> None:
    record_models(store)
    samples.record_promotion(store, "m-new", "champion", 3)
    samples.record_promotion(store, "m-old", "champion", 3)
    assert list(store.query("champion")["model_id"]) == ["m-old"]


def test_models_show_their_stage_a_candidate_without_a_promotion(store: Store) -> None:
    record_models(store)
    promote_old(store)
    assert listed(store.query("models"), "id", "stage") == [["m-new", "candidate"], ["m-old", "champion"]]
    assert list(store.query("model-stage")["since"]) == [samples.later(3), samples.later(1)]


def test_questions_are_about_the_champion_and_without_one_about_the_latest_test(store: Store) -> None:
    record_models(store)
    assert listed(store.query("worst-classes"), "label", "f1")[0] == ["Papiloma T2", 0.1]
    promote_old(store)
    assert listed(store.query("worst-classes"), "label", "f1", "f1_low", "f1_high", "support") == [
        ["Papiloma T2", 0.25, 0.2, 0.3, 4],
        ["Papiloma T1", 0.5, 0.45, 0.55, 8],
        ["Granuloma T1", 0.8, 0.75, 0.85, 4],
    ]
    assert listed(store.query("worst-classes", model="m-n"), "label", "f1")[0] == ["Papiloma T2", 0.1]
    assert list(store.query("latest-evaluation")["is_default"]) == [0, 1]


def test_a_champion_without_a_test_is_not_replaced_by_another_model(store: Store) -> None:
    record_models(store)
    store.record_model(samples.model(id="untested"), [])
    samples.record_promotion(store, "untested", "champion", 3)
    assert store.query("worst-classes").empty


def test_a_model_is_named_by_the_start_of_its_id(store: Store) -> None:
    record_models(store)
    store.record_model(samples.model(id="m-new-too"), [])
    by_id = store.query("worst-classes", model="m-old")
    for name in ("m-o", " m-old", "m-…ld", "m-...old"):
        pd.testing.assert_frame_equal(store.query("worst-classes", model=name), by_id)
    assert len(store.query("worst-classes", model="m-new")) == 3  # the whole id of one, the start of another
    for name, words in (
        ("M-o", "no model"),
        ("", "no model"),
        ("%", "no model"),
        ("…", "no model"),
        ("m-n", "2 models"),
    ):
        with pytest.raises(MriError, match=words) as caught:
            store.query("worst-classes", model=name)
        assert "\n" not in str(caught.value) and "\n" not in caught.value.hint and caught.value.hint


def test_values_are_bound_and_never_part_of_the_sql(store: Store) -> None:
    record_models(store)
    record_scored(store, "r1", "m-old", 4, labelled("/in/it's 100%: :model.jpg", "Papiloma T1"))
    assert len(store.query("provenance", path="it's 100%: :model.jpg")) == 1
    assert store.query("provenance", path="' OR '1'='1").empty
    assert store.query("provenance", path="%").empty


def test_answers_are_readable_in_100_columns(store: Store) -> None:
    """With ids, names and numbers as long as they usually are, every line is a row."""
    samples.record_data(store)
    labels = ["Oligodendroglioma T1C+", "Meduloblastoma T1C+", "Meduloblastoma T2"]
    for place, name in enumerate(IDS):
        store.record_model(samples.model(id=name, protocol=name.split("-")[2], temperature=1.234567), [])
        images = samples.answers(
            *[(f"{a}/1 no. {n}.jpeg", a, labels[n - 1], 0.98765, 0.9) for n, a in enumerate(labels)]
        )
        cells = [{"true_label": a, "predicted_label": b, "n": 123} for a in labels for b in labels]
        for minute in (1, 2):
            row = samples.evaluation(id=f"evaluate-2026112{minute}T101112-{place}a3f2a9c", model_id=name)
            row |= {"accuracy": 0.83612 - minute / 77, "accuracy_low": 0.80123, "created_at": samples.later(minute)}
            row |= {
                "duplicate_free_n": 300,
                "duplicate_free_accuracy": 0.61234,
                "unlike_n": 99,
                "unlike_accuracy": 0.4321,
            }
            classes = scores(*[(label, 0.81234 - place / 10, 123) for label in labels])
            store.record_evaluation(row, classes, [], cells, [], evaluated_image=images)
        files = [labelled(f"/data/hospital/incoming/0{n}.jpeg", labels[n - place], 0.9876) for n in (1, 2)]
        broken = samples.unreadable(
            "/data/hospital/incoming/broken.jpeg",
            reason="not an image (JPEG, PNG, WebP, BMP or TIFF), or its header is corrupt",
        )
        record_scored(store, f"score-2026112{place}T180501-3f2a9{place}", name, now() - 60, *files, broken)
    samples.record_promotion(store, IDS[0], "champion", 5, why="accuracy 0.85 against 0.84, same split")
    samples.record_promotion(store, IDS[1], "retired", 6, why="never promoted")
    answers = {name: store.query(name) for name in IN_ROWS}
    shown = {name: format_table(answer, 100).splitlines() for name, answer in answers.items()}
    assert [name for name, lines in shown.items() if max(map(len, lines)) > 100] == []
    assert [name for name, lines in shown.items() if not 0 < len(answers[name]) >= len(lines) - 3] == []


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("worst-classes", {"days": 3}, "worst-classes has no parameter --days"),
        ("worst-classes", {"since": 3}, "no parameter --since"),
        ("models", {"model": "m"}, "models has no parameter --model"),
        ("report-table-1", {"model": "m"}, "report-table-1 has no parameter --model"),
        ("scored-mix", {"days": "week"}, "--days week is not a number of days"),
        ("scored-mix", {"days": "0"}, "--days 0 is not"),
        ("scored-mix", {"days": "1e9"}, "--days 1e9 is not"),
        ("champion-on", {"day": "yesterday"}, "--day yesterday is not a day"),
        ("champion-on", {"day": "2026-02-30"}, "--day 2026-02-30 is not a day"),
    ],
)
def test_a_wrong_parameter_is_wrong_usage(store: Store, name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        store.query(name, **given)
    assert caught.value.hint
