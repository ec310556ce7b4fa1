"""Questions with parameters: what they answer, on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mri_model.errors import MriError, UsageError
from mri_model.report.tables import format_table
from mri_model.results import schema
from mri_model.results.questions import DERIVED, questions
from mri_model.results.store import Store
from tests.results import result_samples as samples


def listed(frame: pd.DataFrame, *columns: str) -> list[list[Any]]:
    """Rows with missing values as None, fractions to six digits."""
    chosen = frame[list(columns)] if columns else frame
    plain = chosen.astype(object).where(chosen.notna(), None).values.tolist()
    return [[round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in plain]


def scores(*rows: tuple[str, float, int]) -> pd.DataFrame:
    """Class rows: label, F1 (also precision and recall; the interval is 0.1 wide), support."""
    frame = samples.class_metrics([(label, f1, f1, f1, n) for label, f1, n in rows])
    return frame.assign(f1_low=(frame["f1"] - 0.05).clip(0), f1_high=(frame["f1"] + 0.05).clip(upper=1))


TEST_IMAGES = samples.answers(
    ("1.png", "Papiloma T1", "Papiloma T1", 0.95, 0.99),
    ("2.png", "Papiloma T1", "Papiloma T1", 0.91, 0.97),
    ("3.png", "Papiloma T1", "Granuloma T1", 0.85, 0.96),
    ("4.png", "Papiloma T2", "Papiloma T1", 0.55, 0.5),
    ("5.png", "Papiloma T2", "Papiloma T2", 0.5, 0.4),
)
CONFUSION = [
    {"true_label": "Papiloma T1", "predicted_label": "Granuloma T1", "n": 2},
    {"true_label": "Papiloma T1", "predicted_label": "Papiloma T1", "n": 6},
    {"true_label": "Papiloma T2", "predicted_label": "Papiloma T1", "n": 3},
    {"true_label": "Papiloma T2", "predicted_label": "Granuloma T1", "n": 1},
]


def record_models(store: Store) -> None:
    """A champion that was tested first, and a later model that was tested last, both on the same images."""
    samples.record_model(store, id="m-old")
    store.record_model(samples.model(id="m-new", created_at=samples.later(1), protocol="grouped"), [])
    old = scores(("Granuloma T1", 0.8, 4), ("Papiloma T1", 0.5, 8), ("Papiloma T2", 0.25, 4))
    new = scores(("Granuloma T1", 0.82, 4), ("Papiloma T1", 0.9, 8), ("Papiloma T2", 0.1, 4))
    store.record_evaluation(
        samples.evaluation(id="e-old", model_id="m-old"), old, [], CONFUSION, [], evaluated_image=TEST_IMAGES
    )
    later = samples.evaluation(id="e-new", model_id="m-new", created_at=samples.later(2))
    store.record_evaluation(later, new, [], CONFUSION[:2], [], evaluated_image=TEST_IMAGES[2:])


def promote_old(store: Store) -> None:
    samples.record_promotion(store, "m-old", "champion", 3)


def test_a_query_binds_exactly_the_parameters_it_declares() -> None:
    for name, question in questions().items():
        declared = set(question.parameters)
        derived = set(DERIVED) if declared & {"day", "days"} else set()
        assert question.bound - derived == declared - {"day", "days"}, name
        assert all("default: " in text for text in question.parameters.values()), name


def test_moments_of_answers_are_known_by_their_names() -> None:
    columns = [column for table in schema.metadata.tables.values() for column in table.columns]
    for column in columns:
        assert schema.is_moment(column.name) == isinstance(column.type, schema.UtcDateTime), column


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


def test_confusions_within_a_contrast_and_across(store: Store) -> None:
    record_models(store)
    promote_old(store)
    within = store.query("confusions-within-contrast")
    assert list(within.columns) == ["contrast", "tumor", "taken_for", "n", "images", "share"]
    assert listed(within) == [["T1", "Papiloma", "Granuloma", 2, 8, 0.25]]
    assert listed(store.query("confusions-across-contrasts")) == [["Papiloma", "T2", "T1", 3, 4, 0.75]]
    assert store.query("confusions-across-contrasts", model="m-new").empty
    assert len(store.query("confusions")) == 3


def test_data_without_contrasts_has_all_confusions_within(store: Store) -> None:
    samples.record_model(store)
    cells = [{"true_label": "glioma", "predicted_label": "pituitary", "n": 2}]
    store.record_evaluation(samples.evaluation(), scores(("glioma", 0.5, 4), ("pituitary", 0.5, 4)), [], cells)
    assert listed(store.query("confusions-within-contrast"), "contrast", "tumor", "n") == [[None, "glioma", 2]]
    assert store.query("confusions-across-contrasts").empty
    assert listed(store.query("contrast-by-tumor"), "tumor", "n", "accuracy", "T1") == [
        ["glioma", 4, 0.5, None],
        ["pituitary", 4, 0.5, None],
    ]


def test_accuracy_of_each_tumor_in_each_contrast(store: Store) -> None:
    record_models(store)
    promote_old(store)
    shown = store.query("contrast-by-tumor")
    assert listed(shown) == [
        ["Papiloma", 12, round(5 / 12, 6), 8, 0.5, None, None, 4, 0.25],
        ["Granuloma", 4, 0.8, 4, 0.8, None, None, None, None],
    ]


def test_two_models_are_compared_class_by_class_the_largest_loss_first(store: Store) -> None:
    record_models(store)
    promote_old(store)
    few = store.query("compare", model="m-new", other="m-old")
    assert set(few["verdict"]) == {""}  # no class is tested on five groups
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE class_metric SET n_groups = 5")
    shown = store.query("compare", model="m-new", other="m-old")
    assert listed(shown, "label", "f1", "other_f1", "other_low", "other_high", "change", "verdict") == [
        ["Papiloma T2", 0.1, 0.25, 0.2, 0.3, -0.15, "worse"],
        ["Granuloma T1", 0.82, 0.8, 0.75, 0.85, 0.02, ""],
        ["Papiloma T1", 0.9, 0.5, 0.45, 0.55, 0.4, "better"],
    ]
    by_default = store.query("compare")
    assert listed(by_default, "f1", "other_f1") == [[0.5, 0.9], [0.8, 0.82], [0.25, 0.1]]


def test_a_model_is_compared_with_the_champion_unless_another_is_named(store: Store) -> None:
    record_models(store)
    store.record_model(samples.model(id="third"), [])
    third = samples.evaluation(id="e3", model_id="third", created_at=samples.later(9))
    store.record_evaluation(third, scores(("Papiloma T1", 0.3, 8)))
    assert listed(store.query("compare"), "f1", "other_f1") == [[0.3, 0.9]]
    promote_old(store)
    assert listed(store.query("compare", model="third"), "f1", "other_f1") == [[0.3, 0.5]]
    assert listed(store.query("compare", other="m-old"), "f1", "other_f1") == [[0.3, 0.5]]
    assert listed(store.query("compare"), "f1", "other_f1") == [[0.5, 0.3]]
    assert store.query("compare", model="third", other="third").empty


def test_models_are_compared_on_the_same_data_only(store: Store) -> None:
    record_models(store)
    store.record_dataset(samples.dataset(digest="d2"), [])
    elsewhere = samples.evaluation(id="x", model_id="m-new", dataset_digest="d2", created_at=samples.later(9))
    store.record_evaluation(elsewhere, scores(("Papiloma T1", 0.0, 8)))
    shown = store.query("compare", model="m-new", other="m-old")
    assert len(shown) == 3 and 0.0 not in list(shown["f1"])
    assert listed(store.query("compare"), "label") == listed(shown, "label")


def test_the_newest_test_is_held_against_the_one_before(store: Store) -> None:
    record_models(store)
    for name, minute, accuracy, low in (("a", 4, 0.8, 0.75), ("b", 5, 0.7, 0.65)):
        row = samples.evaluation(id=name, model_id="m-old", created_at=samples.later(minute), accuracy=accuracy)
        store.record_evaluation(row | {"accuracy_low": low})
    row = samples.evaluation(id="c", model_id="m-new", created_at=samples.later(6), accuracy=0.836)
    store.record_evaluation(row)
    other_split = samples.evaluation(id="d", model_id="m-new", created_at=samples.later(7), split="val", accuracy=0)
    store.record_evaluation(other_split)
    shown = store.query("newest-against-last")
    assert listed(shown, "tested_id", "accuracy", "earlier", "low", "change", "verdict") == [
        ["m-old", 0.7, 0.8, 0.75, -0.1, "worse"],
        ["m-new", 0.836, 0.836, None, 0.0, "same"],
    ]
    assert list(shown["created_at"]) == [samples.later(5), samples.later(6)]
    store.record_evaluation(row | {"id": "e", "accuracy": 0.83, "created_at": samples.later(8)})
    assert listed(store.query("newest-against-last"), "verdict") == [["worse"], ["worse"]]


def test_a_loss_inside_the_interval_is_lower_not_worse(store: Store) -> None:
    record_models(store)
    for name, minute, accuracy in (("a", 4, 0.8), ("b", 5, 0.76)):
        row = samples.evaluation(id=name, model_id="m-old", created_at=samples.later(minute), accuracy=accuracy)
        store.record_evaluation(row | {"accuracy_low": 0.75})
    assert listed(store.query("newest-against-last"), "verdict") == [["lower"]]


def test_the_history_of_a_class_goes_from_the_oldest_model_to_the_newest(store: Store) -> None:
    record_models(store)
    promote_old(store)
    again = samples.evaluation(id="again", model_id="m-old", created_at=samples.later(5))
    store.record_evaluation(again, scores(("Papiloma T2", 0.3, 4)))
    shown = store.query("class-history", label="papiloma t2")
    assert listed(shown, "label", "model_id", "stage", "protocol", "f1") == [
        ["Papiloma T2", "m-old", "champion", "random", 0.3],
        ["Papiloma T2", "m-new", "candidate", "grouped", 0.1],
    ]
    assert len(store.query("class-history")) == 4
    with pytest.raises(MriError, match="no class 'Papilloma T2' was evaluated") as caught:
        store.query("class-history", label="Papilloma T2")
    assert caught.value.hint.startswith("did you mean Papiloma T2")


def test_each_protocol_is_shown_by_its_best_model_on_validation(store: Store) -> None:
    samples.record_data(store)
    models = [("r1", "random", 0.7, 0.9), ("r2", "random", 0.8, 0.85), ("g1", "grouped", 0.6, 0.65)]
    for name, protocol, val_f1, accuracy in [*models, ("fold", "random", 0.99, 0.99)]:
        store.record_model(samples.model(id=name, protocol=protocol, val_f1=val_f1), [])
        row = samples.evaluation(id=f"e-{name}", model_id=name, accuracy=accuracy, duplicate_free_n=10)
        store.record_evaluation(row | {"duplicate_free_accuracy": 0.6, "unlike_n": 5, "unlike_accuracy": 0.4})
    store.record_sweep({"id": "s", "kind": "folds"}, ["fold"])
    shown = store.query("protocols")
    assert listed(shown, "protocol", "model_id", "accuracy", "duplicate_free_accuracy", "unlike_accuracy") == [
        ["random", "r2", 0.85, 0.6, 0.4],
        ["grouped", "g1", 0.65, 0.6, 0.4],
    ]


def test_images_that_every_model_gets_wrong(store: Store) -> None:
    record_models(store)
    assert listed(store.query("always-wrong")) == [
        ["3.png", "Papiloma T1", "Granuloma T1", 2, 0.85],
        ["4.png", "Papiloma T2", "Papiloma T1", 2, 0.55],
    ]
    right = samples.answers(("3.png", "Papiloma T1", "Papiloma T1", 0.9, 0.9))
    other = samples.answers(("4.png", "Papiloma T2", "Granuloma T1", 0.7, 0.7))
    store.record_model(samples.model(id="third"), [])
    store.record_evaluation(samples.evaluation(id="e3", model_id="third"), evaluated_image=right + other)
    assert listed(store.query("always-wrong")) == [["4.png", "Papiloma T2", "Papiloma T1", 3, 0.7]]
    store.record_dataset(samples.dataset(digest="newer", ingested_at=samples.later(9)), [])
    assert store.query("always-wrong").empty


def test_accuracy_rises_with_the_images_the_model_may_leave_out(store: Store) -> None:
    record_models(store)
    promote_old(store)
    assert listed(store.query("coverage")) == [
        [80, 4, 0.55, 0.5, 2],
        [90, 4, 0.55, 0.5, 2],
        [95, 4, 0.55, 0.5, 2],
        [100, 5, 0.5, 0.6, 2],
    ]
    assert listed(store.query("coverage", model="m-new"), "coverage", "images")[0] == [80, 2]


def test_confidence_against_accuracy_in_bins_before_and_after_calibration(store: Store) -> None:
    record_models(store)
    promote_old(store)
    assert listed(store.query("reliability")) == [
        [0.4, 0.5, 0, None, None, 1, 0.4, 1.0],
        [0.5, 0.6, 2, 0.525, 0.5, 1, 0.5, 0.0],
        [0.8, 0.9, 1, 0.85, 0.0, 0, None, None],
        [0.9, 1.0, 2, 0.93, 1.0, 3, 0.973333, 0.666667],
    ]


def record_scored(store: Store, run: str, model: str, minute: float, *rows: dict[str, Any]) -> None:
    when, folder = samples.later(minute), str(Path(rows[0]["path"]).parent)
    about = {"folder": folder, "started_at": when, "n_found": len(rows)}
    store.start_scoring_run(samples.scoring_run(id=run, model_id=model, **about))
    store.add_predictions([row | {"run_id": run, "model_id": model, "scored_at": when} for row in rows])
    store.finish_scoring_run(run, finished_at=when + timedelta(seconds=90))


def labelled(path: str, label: str, probability: float = 0.75, **changes: Any) -> dict[str, Any]:
    return samples.prediction(path, label=label, probability=probability, **changes)


def test_files_without_a_result_and_why(store: Store) -> None:
    record_models(store)
    record_scored(store, "r1", "m-old", 1, samples.unreadable("/in/a.jpg"), samples.unreadable("/in/sub/b.jpg"))
    record_scored(store, "r2", "m-old", 2, labelled("/in/a.jpg", "Papiloma T1"))
    record_scored(store, "r3", "m-old", 3, samples.unreadable("/in/sub/c.jpg", reason="broken"))
    store.start_scoring_run(samples.scoring_run(id="r4", model_id="m-old", folder="/in2", started_at=samples.later(4)))
    assert store.query("unscored").empty
    shown = store.query("unscored", folder="/in/")
    assert listed(shown, "path", "status", "reason") == [
        ["/in/sub/c.jpg", "rejected", "broken"],
        ["/in/sub/b.jpg", "rejected", "no permission"],
    ]
    assert len(store.query("unscored", folder="/in/sub")) == 2


def test_labels_that_changed_between_two_models(store: Store) -> None:
    record_models(store)
    promote_old(store)
    same = labelled("/in/same.jpg", "Papiloma T1")
    record_scored(store, "r1", "m-new", 1, same, labelled("/in/a.jpg", "Papiloma T1", 0.9), labelled("/in/x.jpg", "X"))
    record_scored(store, "r2", "m-old", 2, same, labelled("/in/a.jpg", "Papiloma T2", 0.6), samples.unreadable())
    assert listed(store.query("label-changes")) == [["/in/a.jpg", "Papiloma T2", 0.6, "Papiloma T1", 0.9]]
    for given in ({"model": "m-n", "other": "m-o"}, {"model": "m-n"}, {"other": "m-o"}):
        changed = store.query("label-changes", **given)
        assert listed(changed, "label", "other_label") == [["Papiloma T1", "Papiloma T2"]]


def now() -> float:
    """Minutes from the samples' start until now."""
    return (datetime.now(UTC) - samples.START) / timedelta(minutes=1)


DAY = 24 * 60


def record_recent(store: Store) -> None:
    """Scored: one image nine days ago; three six days ago, by the other model too."""
    record_models(store)
    record_scored(store, "r1", "m-old", now() - 9 * DAY, labelled("/in/old.jpg", "Papiloma T2"))
    images = [labelled("/in/1.jpg", "Papiloma T1", 0.5), labelled("/in/2.jpg", "Papiloma T1", 0.7)]
    record_scored(store, "r2", "m-old", now() - 6 * DAY, *images, labelled("/in/3.jpg", "Granuloma T1", 0.9))
    record_scored(store, "r3", "m-new", now() - 6 * DAY, labelled("/in/1.jpg", "Papiloma T2", 0.25))


def test_the_mix_of_the_last_days_by_predicted_class(store: Store) -> None:
    record_recent(store)
    assert listed(store.query("scored-mix", model="m-old")) == [
        ["Papiloma T1", 2, 0.666667, 0.6, 0.5],
        ["Granuloma T1", 1, 0.333333, 0.9, 0.9],
    ]
    assert listed(store.query("scored-mix"), "label", "n") == [
        ["Papiloma T1", 2],
        ["Granuloma T1", 1],
        ["Papiloma T2", 1],
    ]
    assert list(store.query("scored-mix", days="10")["n"]) == [2, 2, 1]
    assert store.query("scored-mix", days=5).empty


def test_drift_is_the_distance_of_the_mix_from_that_of_the_training(store: Store) -> None:
    samples.record_data(store)
    few = samples.classes({"Papiloma T1": 30, "Papiloma T2": 60, "Granuloma T1": 10})
    grouped = [{**row, "n_train_grouped": 0} if row["label"] == "Papiloma T2" else row for row in few]
    store.record_dataset(samples.dataset(digest="few"), grouped)
    record_recent(store)
    store.record_model(samples.model(id="m-old", dataset_digest="few"), [])
    shown = store.query("drift", model="m-old")
    assert listed(shown) == [
        ["Papiloma T2", 0, 60, 0.0, 0.6, -0.6, 0.6],
        ["Papiloma T1", 2, 30, 0.666667, 0.3, 0.366667, 0.6],
        ["Granuloma T1", 1, 10, 0.333333, 0.1, 0.233333, 0.6],
    ]
    store.record_model(samples.model(id="m-old", dataset_digest="few", protocol="grouped"), [])
    promote_old(store)
    assert listed(store.query("drift"), "label", "trained", "training_share")[2] == ["Papiloma T2", 0, 0.0]
    assert store.query("drift", days=1).empty


def test_results_of_models_that_are_retired_since(store: Store) -> None:
    record_models(store)
    promote_old(store)
    record_scored(store, "r1", "m-old", 4, labelled("/in/a.jpg", "Papiloma T1"), samples.unreadable("/in/b.jpg"))
    record_scored(store, "r2", "m-new", 5, labelled("/in/a.jpg", "Papiloma T1"))
    assert store.query("retired-results").empty
    samples.record_promotion(store, "m-old", "retired", 6)
    assert listed(store.query("retired-results")) == [
        [samples.later(6), "m-old", "r1", "/in", 2, "2026-11-02"],
    ]


def test_what_produced_the_result_of_a_file(store: Store) -> None:
    record_models(store)
    record_scored(store, "r1", "m-old", 4, labelled("/in/a.jpg", "Papiloma T1"), labelled("/in/aa.jpg", "Papiloma T1"))
    columns = ("path", "run_id", "model_id", "stage", "weights", "temperature", "preprocessing")
    expected = ["/in/a.jpg", "r1", "m-old", "candidate", "w1", 0.8, '{"size": 100, "mean": [0.5, 0.5, 0.5]}']
    for path in ("/in/a.jpg", "in/a.jpg", "a.jpg"):
        assert listed(store.query("provenance", path=path), *columns) == [expected]
    assert store.query("provenance", path="n/a.jpg").empty
    assert len(store.query("provenance")) == 2


def test_who_was_in_production_on_a_day(store: Store) -> None:
    record_models(store)
    samples.record_promotion(store, "m-old", "champion", 1 * DAY)  # 3 November, 9:30
    samples.record_promotion(store, "m-new", "candidate", 2 * DAY)
    samples.record_promotion(store, "m-old", "retired", 3 * DAY)
    samples.record_promotion(store, "m-new", "champion", 3 * DAY)
    samples.record_promotion(store, "m-new", "retired", 5 * DAY)
    first = ["m-old", samples.later(1 * DAY), samples.later(3 * DAY), "ada", "champion it is"]
    second = ["m-new", samples.later(3 * DAY), samples.later(5 * DAY), "ada", "champion it is"]
    days = {"02": [], "03": [first], "04": [first], "05": [first, second], "06": [second], "07": [second], "08": []}
    for day, expected in days.items():
        assert listed(store.query("champion-on", day=f"2026-11-{day}")) == expected, day
    assert store.query("champion-on").empty
    samples.record_promotion(store, "m-old", "champion", 6 * DAY)
    assert listed(store.query("champion-on"), "model_id", "until") == [["m-old", None]]


def test_costs_by_day_and_kind(store: Store) -> None:
    record_models(store)
    midnight = (datetime(2026, 11, 2, 23, 59, 30, tzinfo=UTC) - samples.START) / timedelta(minutes=1)
    record_scored(store, "r1", "m-old", midnight, samples.unreadable("/in/a.jpg"), samples.unreadable("/in/b.jpg"))
    record_scored(store, "r2", "m-old", 0, samples.unreadable("/in/c.jpg"))
    store.start_scoring_run(samples.scoring_run(id="r3", model_id="m-old", n_found=7))
    days = int(now() // DAY) + 2
    assert listed(store.query("costs", days=days)) == [
        ["2026-11-02", "evaluation", 2, 1344, 24.0, 12.0],
        ["2026-11-02", "scoring", 3, 10, 180.0, 90.0],
        ["2026-11-02", "training", 2, None, 123.0, 61.5],
    ]
    assert store.query("costs", days=1).empty


@pytest.mark.parametrize(
    ("start", "end"),
    [("2027-12-31 23:59:59", "2028-01-01 00:00:01"), ("2028-02-28 23:59:59", "2028-02-29 00:00:01")],
)
def test_the_length_of_a_scoring_run_is_right_over_the_end_of_a_month(store: Store, start: str, end: str) -> None:
    samples.record_model(store)
    moments = [datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, end)]
    store.start_scoring_run(samples.scoring_run(started_at=moments[0]))
    store.finish_scoring_run("r1", finished_at=moments[1])
    shown = store.query("costs", days=36_000).set_index("kind")
    assert shown.loc["scoring", "seconds"] == 2


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


IDS = ("resnet18-256px-random-0a1b2c3d4e", "resnet18-256px-grouped-9f8e7d6c5b")
IN_ROWS = [
    *("champion", "model-stage", "latest-evaluation", "always-wrong", "champion-on", "class-history", "compare"),
    *("confusions-across-contrasts", "confusions-within-contrast", "contrast-by-tumor", "costs", "coverage", "drift"),
    *("label-changes", "newest-against-last", "protocols", "reliability", "retired-results", "scored-mix"),
    *("unscored", "worst-classes"),
]


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
    samples.record_promotion(store, IDS[0], "champion", 5, why="accuracy 0.85 against 0.84 on the same split")
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
