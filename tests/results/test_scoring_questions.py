"""What the questions about scoring, promotions and costs answer, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from mri_model.results import schema
from mri_model.results.store import Store
from tests.results import result_samples as samples
from tests.results.question_samples import (
    DAY,
    labelled,
    listed,
    now,
    promote_old,
    record_models,
    record_recent,
    record_scored,
)


def test_files_without_a_result_and_why(store: Store) -> None:
    record_models(store)
    record_scored(store, "r1", "m-old", 1, samples.unreadable("/in/a.jpg"), samples.unreadable("/in/sub/b.jpg"))
    assert listed(store.query("unscored"), "path", "reason") == [
        ["/in/a.jpg", "no permission"], ["/in/sub/b.jpg", "no permission"]
    ]  # fmt: skip
    record_scored(store, "r2", "m-old", 2, labelled("/in/a.jpg", "Papiloma T1"))
    record_scored(store, "r3", "m-old", 3, samples.unreadable("/in/sub2/c.jpg", reason="broken"))
    samples.record_run(store, id="r4", model_id="m-old", folder="/in2", started_at=samples.later(4))
    assert store.query("unscored").empty
    shown = store.query("unscored", folder="/in/")
    assert listed(shown, "path", "status", "reason") == [
        ["/in/sub2/c.jpg", "rejected", "broken"],
    ], "the run r2 found neither of the files of r1"
    assert len(store.query("unscored", folder="/in/sub2")) == 1


def test_the_series_of_the_run_that_was_started_last(store: Store) -> None:
    record_models(store)
    slices = [labelled(f"/in/{name}.nii#z={z}", "Papiloma T1", series=name) for name in ("a", "b") for z in (3, 4)]
    record_scored(store, "r1", "m-old", 1, *[row | {"path": row["path"].replace("/in/", "/in/in2/")} for row in slices])
    record_scored(store, "r2", "m-old", 2, *slices, labelled("/in/plain.jpg", "Papiloma T1"))
    sure, unsure = {"probability": 0.9}, {"probability": 0.4, "status": "abstained", "reason": "too far"}
    none = {"probability": None, "label": None, "status": "rejected", "reason": "a localizer"}
    for run, name, changes in (("r1", "a", sure), ("r2", "a", sure), ("r2", "b", unsure), ("r2", "c", none)):
        row = samples.series_prediction(name, run_id=run, model_id="m-old", **changes)
        samples.record_series(store, [row])
    assert listed(store.query("series"), "series", "status", "probability", "reason", "first_image") == [
        ["b", "abstained", 0.4, "too far", "/in/b.nii#z=3"],
        ["a", "scored", 0.9, None, "/in/a.nii#z=3"],
        ["c", "rejected", None, "a localizer", None],
    ]


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


def test_the_mix_of_the_last_days_by_predicted_class(store: Store) -> None:
    record_recent(store)
    assert listed(store.query("scored-mix", model="m-old")) == [
        ["Papiloma T1", 2, 0.666667, 0.6, 0.5],
        ["Granuloma T1", 1, 0.333333, 0.9, 0.9],
    ]
    assert listed(store.query("scored-mix", model="m-new"), "label", "n") == [["Papiloma T2", 1]]
    by_default = store.ask("scored-mix")
    assert len(by_default.rows) and by_default.about[0]["model"] in ("m-old", "m-new"), "answers of one model only"
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


def test_a_run_that_is_not_finished_shows_the_counts_so_far(store: Store) -> None:
    record_models(store)
    samples.record_run(store, id="r1", model_id="m-old", status="running", n_scored=0, n_abstained=0, n_rejected=0)
    counts = {"n_scored": 3, "n_abstained": 1, "n_rejected": 2, "n_reused": 1}
    with store.writing() as connection:
        for number, done_at in enumerate((samples.START, samples.START, None)):
            row = {"run_id": "r1", "number": number, "n_files": 6, "fence": 1, "done_at": done_at}
            connection.execute(schema.scoring_shard.insert(), row | (counts if done_at else {}))
    assert listed(store.query("scored-runs"), *counts) == [[6, 2, 4, 2]]


def test_runs_that_differ_from_the_validation_images_and_in_what(store: Store) -> None:
    record_models(store)
    when = {"started_at": samples.later(now() - 60), "finished_at": samples.later(now() - 50)}
    samples.record_run(store, id="r1", model_id="m-old", drift="waiting", drift_reason="too few", **when)
    later = {"started_at": samples.later(now() - 40), "finished_at": samples.later(now() - 30)}
    found = {"drift": "yes", "drift_reason": "label", "drift_images": 80, "drift_sources": 25}
    samples.record_run(store, id="r2", model_id="m-old", **found, **later)
    samples.record_run(store, id="r3", model_id="m-old", **later)
    differences = [("brightness", 0.2, 0.15, 0.1, False), ("label", 0.5, 0.2, 0.0005, True)]
    names = ("run_id", "statistic", "distance", "expected", "p_value", "differs")
    rows = [dict(zip(names, ("r2", *each), strict=True)) for each in differences]
    with store.writing() as connection:
        connection.execute(schema.drift_metric.insert(), rows)
    columns = ("run_id", "drift", "statistic", "distance", "differs", "images")
    assert listed(store.query("scored-drift", model="m-old"), *columns) == [
        ["r2", "yes", "label", 0.5, True, 80],
        ["r2", "yes", "brightness", 0.2, False, 80],
        ["r1", "waiting", None, None, None, None],
    ]
    assert store.query("scored-drift", model="m-new").empty


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
    first = ["m-old", samples.later(1 * DAY), samples.later(3 * DAY), "ada", "champion it is", 0]
    second = ["m-new", samples.later(3 * DAY), samples.later(5 * DAY), "ada", "champion it is", 0]
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
    samples.record_run(store, id="r3", model_id="m-old", n_found=7)
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
    samples.record_run(store, started_at=moments[0], finished_at=moments[1])
    shown = store.query("costs", days=36_000).set_index("kind")
    assert shown.loc["scoring", "seconds"] == 2
