"""What the questions about evaluations answer, on both databases."""

import pytest

from mri_model.errors import MriError, UsageError
from mri_model.results.store import Store
from tests.results import result_samples as samples
from tests.results.question_samples import listed, promote_old, record_models, scores


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
    with pytest.raises(UsageError, match="the same model"):
        store.query("compare", model="third", other="third")


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
        [90, 5, 0.5, 0.6, 2],
        [95, 5, 0.5, 0.6, 2],
        [100, 5, 0.5, 0.6, 2],
    ], "at least that share of the images"
    assert listed(store.query("coverage", model="m-new"), "coverage", "images")[0] == [80, 3]


def test_confidence_against_accuracy_in_bins_before_and_after_calibration(store: Store) -> None:
    record_models(store)
    promote_old(store)
    assert listed(store.query("reliability")) == [
        [0.4, 0.466667, 0, None, None, 1, 0.4, 1.0],
        [0.466667, 0.533333, 1, 0.5, 1.0, 1, 0.5, 0.0],
        [0.533333, 0.6, 1, 0.55, 0.0, 0, None, None],
        [0.8, 0.866667, 1, 0.85, 0.0, 0, None, None],
        [0.866667, 0.933333, 1, 0.91, 1.0, 0, None, None],
        [0.933333, 1.0, 1, 0.95, 1.0, 3, 0.973333, 0.666667],
    ]
