"""The report's tables come back in the report's order and columns; every question runs on both databases."""

import math

import pandas as pd
import pytest

from mri_model.errors import MriError
from mri_model.results.store import Store, questions
from tests.results import result_samples as samples

QUERIES = {
    "champion",
    "model-stage",
    "latest-evaluation",
    "always-wrong",
    "champion-on",
    "class-history",
    "compare",
    "confusions-across-contrasts",
    "confusions-within-contrast",
    "contrast-by-tumor",
    "costs",
    "coverage",
    "drift",
    "label-changes",
    "newest-against-last",
    "protocols",
    "provenance",
    "reliability",
    "retired-results",
    "scored-drift",
    "scored-mix",
    "unscored",
    "epochs",
    "history",
    "sweeps",
    "classes",
    "worst-classes",
    "confusions",
    "evaluations",
    "models",
    "scored-runs",
    "series",
    "predictions",
    "similarity",
    "incoming",
}


def record_report(store: Store) -> None:
    samples.record_data(store)
    sizes = [(630, 15, 0.978, 0.83, 0.76, 0.75, 0.75), (100, 50, 0.998, 0.689, 0.72, 0.59, 0.62)]
    names = [
        "image_size",
        "batch_size",
        "train_accuracy",
        "val_accuracy",
        "val_precision",
        "val_recall",
        "val_f1",
    ]
    for minute, values in enumerate([*sizes, (256, 25, 0.998, 0.768, 0.81, 0.67, 0.71)]):
        row = dict(zip(names, values, strict=True))
        store.record_model(samples.model(id=f"m{values[0]}", created_at=samples.later(minute), **row), samples.epochs())
    record_sweep(store, "s1", ["m630", "m100", "m256"], minute=3)
    samples.record_evaluation(store, model_id="m630")


def record_sweep(store: Store, name: str, models: list[str], minute: float, kind: str = "sizes") -> None:
    store.record_sweep({"id": name, "kind": kind, "recorded_at": samples.later(minute)}, models)


def table(store: Store, number: int) -> list[list[object]]:
    return store.query(f"report-table-{number}").values.tolist()


def test_table_1(store: Store) -> None:
    record_report(store)
    assert list(store.query("report-table-1").columns) == ["contrast", "n", "%"]
    assert table(store, 1) == [["T1C+", 1693, 37.8], ["T1", 1423, 31.8], ["T2", 1363, 30.4]]


def test_table_2(store: Store) -> None:
    record_report(store)
    assert list(store.query("report-table-2").columns) == ["tumor", "n", "%"]
    assert table(store, 2) == [
        ["Normal", 522, 11.7],
        ["Meningioma", 874, 19.5],
        ["Astrocitoma", 580, 12.9],
        ["Schwannoma", 465, 10.4],
        ["Neurocitoma", 457, 10.2],
        ["Carcinoma", 251, 5.6],
        ["Papiloma", 237, 5.3],
        ["Oligodendroglioma", 224, 5.0],
        ["Glioblastoma", 204, 4.6],
        ["Ependimoma", 150, 3.3],
        ["Tuberculoma", 145, 3.2],
        ["Meduloblastoma", 131, 2.9],
        ["Germinoma", 100, 2.2],
        ["Granuloma", 78, 1.7],
        ["Ganglioglioma", 61, 1.4],
    ]


def test_tables_1_and_2_without_contrasts_show_the_latest_data_set(store: Store) -> None:
    record_report(store)
    other = samples.dataset(digest="d2", ingested_at=samples.later(1))
    store.record_dataset(other, samples.classes({"pituitary": 5, "glioma": 5, "_no_tumor": 10, "empty": 0}))
    assert table(store, 1) == []
    assert table(store, 2) == [
        ["no_tumor", 10, 50.0],
        ["glioma", 5, 25.0],
        ["pituitary", 5, 25.0],
        ["empty", 0, 0.0],
    ]
    store.record_dataset(samples.dataset(ingested_at=samples.later(2)), samples.classes())
    assert len(table(store, 1)) == 3


def test_table_3(store: Store) -> None:
    record_report(store)
    assert list(store.query("report-table-3").columns) == [
        "image size",
        "batch size",
        "training accuracy",
        "accuracy",
        "avg precision",
        "avg recall",
        "avg F1",
    ]
    assert table(store, 3) == [
        ["100x100", 50, 0.998, 0.689, 0.72, 0.59, 0.62],
        ["256x256", 25, 0.998, 0.768, 0.81, 0.67, 0.71],
        ["630x630", 15, 0.978, 0.83, 0.76, 0.75, 0.75],
    ]


def sizes(store: Store) -> list[object]:
    return [row[0] for row in table(store, 3)]


def test_table_3_shows_the_latest_of_sweeps_and_models_without_one(store: Store) -> None:
    record_report(store)
    all_sizes = ["100x100", "256x256", "630x630"]
    store.record_model(samples.model(id="earlier", image_size=32, created_at=samples.later(2.5)), samples.epochs())
    assert sizes(store) == all_sizes
    store.record_model(samples.model(id="alone", image_size=64, created_at=samples.later(9)), samples.epochs())
    assert sizes(store) == ["64x64"]
    record_sweep(store, "s2", ["m256", "alone"], minute=10)
    assert sizes(store) == ["64x64", "256x256"]
    record_sweep(store, "s1", ["m630", "m100", "m256"], minute=11)
    assert sizes(store) == all_sizes


def test_running_a_member_of_a_sweep_again_keeps_table_3(store: Store) -> None:
    record_report(store)
    before = table(store, 3)
    row = samples.model(id="m630", created_at=samples.later(9), image_size=630, batch_size=15, train_accuracy=0.978)
    store.record_model(row | {"val_accuracy": 0.83, "val_precision": 0.76, "val_recall": 0.75, "val_f1": 0.75}, [])
    assert table(store, 3) == before


def test_table_3_leaves_out_what_is_not_trained(store: Store) -> None:
    record_report(store)
    for name, status in (("a", "training"), ("b", "stopped")):
        store.record_model(samples.model(id=name, status=status, created_at=samples.later(9)), samples.epochs())
    record_sweep(store, "s2", ["a", "b"], minute=10, kind="seeds")
    assert len(sizes(store)) == 3
    record_sweep(store, "s2", ["a", "b", "m256"], minute=10, kind="seeds")
    assert sizes(store) == ["256x256"]


def test_table_4(store: Store) -> None:
    record_report(store)
    frame = store.query("report-table-4")
    assert list(frame.columns) == ["measure", "accuracy", "avg precision", "avg recall", "avg F1"]
    rows = [[None if isinstance(v, float) and math.isnan(v) else v for v in row] for row in frame.values.tolist()]
    assert rows == [
        ["Accuracy", 0.84, None, None, None],
        ["Macro Average", None, 0.8, 0.75, 0.76],
        ["Weighted Average", None, 0.84, 0.84, 0.83],
    ]


def test_table_5_is_in_the_reports_order(store: Store) -> None:
    record_report(store)
    assert list(store.query("report-table-5").columns) == [
        "label",
        "precision",
        "recall",
        "f1score",
        "support",
    ]
    assert table(store, 5) == [list(row) for row in samples.TABLE_5_ROWS]


def test_table_5_from_unrounded_scores_is_in_the_reports_order_too(store: Store) -> None:
    """The report breaks ties of the F1 it shows: _NORMAL T2 (0.8434) stands below Schwannoma T1 (0.8444)."""
    record_report(store)
    exact = {
        "Carcinoma T2": 16 / 19,
        "Neurocitoma T2": 26 / 31,
        "Schwannoma T1": 38 / 45,
        "_NORMAL T2": 70 / 83,
    }
    scores = [(name, p, r, exact.get(name, f1), n) for name, p, r, f1, n in samples.TABLE_5_ROWS]
    store.record_evaluation(samples.evaluation(model_id="m630"), samples.class_metrics(scores), [], [])
    assert table(store, 5) == [list(row) for row in samples.TABLE_5_ROWS]


def test_table_6(store: Store) -> None:
    record_report(store)
    assert list(store.query("report-table-6").columns) == ["contrast", "n", "%"]
    assert table(store, 6) == [["T1", 214, 86.4], ["T1C+", 255, 85.9], ["T2", 203, 77.8]]


def test_tables_4_to_6_show_the_latest_test_evaluation(store: Store) -> None:
    record_report(store)
    newer = samples.evaluation(id="e2", model_id="m630", accuracy=0.5)
    store.record_evaluation(newer, samples.class_metrics()[:1], [], [])
    on_validation = newer | {"id": "v", "split": "val", "created_at": samples.later(1)}
    store.record_evaluation(on_validation, [], [], [])
    assert table(store, 4)[0][:2] == ["Accuracy", 0.5]
    assert len(table(store, 5)) == 1
    assert table(store, 6) == []


def test_an_evaluation_on_all_images_of_an_external_set_is_the_latest_like_any_other(store: Store) -> None:
    record_report(store)
    external = samples.evaluation(id="e2", model_id="m630", split="all", accuracy=0.25, created_at=samples.later(1))
    store.record_evaluation(external, samples.class_metrics()[:2], [], [], samples.similarity_metrics()[:1])
    assert table(store, 4)[0][:2] == ["Accuracy", 0.25]
    assert (len(table(store, 5)), len(table(store, 6)), len(store.query("similarity"))) == (2, 0, 1)


def test_a_pooled_evaluation_of_a_sweep_is_the_latest_like_any_other(store: Store) -> None:
    record_report(store)
    pooled = samples.evaluation(id="e2", model_id=None, sweep_id="s1", accuracy=0.25, created_at=samples.later(1))
    cells = [{"true_label": "a", "predicted_label": "b", "n": 1}]
    store.record_evaluation(pooled, samples.class_metrics()[:2], samples.contrast_metrics()[:1], cells)
    assert table(store, 4)[0][:2] == ["Accuracy", 0.25]
    assert (len(table(store, 5)), len(table(store, 6))) == (2, 1)
    assert (len(store.query("worst-classes")), len(store.query("confusions"))) == (2, 1)
    newest = store.query("evaluations").iloc[0]
    assert (newest["id"], newest["sweep_id"]) == ("e2", "s1") and pd.isna(newest["model_id"])


def test_sweeps_show_mean_and_range_of_the_latest_test_evaluations(store: Store) -> None:
    samples.record_data(store)
    for fold, accuracy in enumerate([0.5, 0.75, 1.0]):
        store.record_model(samples.model(id=f"m{fold}"), samples.epochs())
        for name, minute, value in (("old", 0, 0.0), ("new", 1, accuracy)):
            samples.record_evaluation(
                store, id=f"{name}{fold}", model_id=f"m{fold}", accuracy=value, created_at=samples.later(minute)
            )
        samples.record_evaluation(
            store, id=f"v{fold}", model_id=f"m{fold}", split="val", accuracy=0.1, created_at=samples.later(2)
        )
    record_sweep(store, "seeds", ["m0", "m1"], minute=0, kind="seeds")
    record_sweep(store, "folds", ["m0", "m1", "m2"], minute=1, kind="folds")
    for name, minute, value in (("p1", 3, 0.3), ("p2", 4, 0.6)):
        pooled = {"model_id": None, "sweep_id": "folds", "macro_f1": value / 2, "created_at": samples.later(minute)}
        samples.record_evaluation(store, id=name, accuracy=value, **pooled)
    shown = store.query("sweeps")
    assert list(shown["sweep_id"]) == ["folds", "seeds"]
    assert list(shown["kind"]) == ["folds", "seeds"]
    assert list(shown["models"]) == [3, 2]
    assert shown[["accuracy", "accuracy_lowest", "accuracy_highest"]].values.tolist() == [
        [0.75, 0.5, 1.0],
        [0.625, 0.5, 0.75],
    ]
    assert list(shown.loc[0, ["pooled_accuracy", "pooled_macro_f1"]]) == [0.6, 0.3]
    assert shown.loc[1, ["pooled_accuracy", "pooled_macro_f1"]].isna().all()


def test_every_table_shows_numbers_not_decimals(store: Store) -> None:
    record_report(store)
    for number in range(1, 7):
        frame = store.query(f"report-table-{number}")
        numbers = frame.drop(columns=[frame.columns[0]])
        assert {kind.kind for kind in numbers.dtypes} <= {"i", "f"}


def test_halves_round_up_on_both_databases(store: Store) -> None:
    samples.record_model(store)
    shares = [0.125, 0.845, 0.8449999999999999, 0.005, 0.335]
    store.record_evaluation(
        samples.evaluation(),
        samples.class_metrics([(f"c{n}", x, x, x, 1) for n, x in enumerate(shares)]),
        [],
        [],
    )
    shown = store.query("report-table-5").set_index("label")["precision"]
    assert [shown[f"c{n}"] for n in range(len(shares))] == [0.13, 0.85, 0.85, 0.01, 0.34]


def test_every_question_is_documented_and_runs_on_an_empty_database(store: Store) -> None:
    asked = store.questions()
    assert asked == questions()
    assert QUERIES | {f"report-table-{number}" for number in range(1, 7)} == set(asked)
    for name, question in asked.items():
        assert question.asked.endswith("?") and len(question.asked) > 20
        assert store.query(name).empty


def test_worst_classes(store: Store) -> None:
    record_report(store)
    frame = store.query("worst-classes")
    assert list(frame["label"]) == [row[0] for row in samples.TABLE_5_ROWS[:10]]


def test_classes_show_on_how_many_independent_groups_a_figure_rests_the_fewest_first(store: Store) -> None:
    record_report(store)
    shown = store.query("classes")
    assert len(shown) == 44 and shown["tested groups"].is_monotonic_increasing
    rows = shown.set_index("label")[["images", "groups", "tested", "tested groups"]]
    assert rows.loc["Tuberculoma T1"].tolist() == [28, 4, 4, 2]


def test_confusions(store: Store) -> None:
    record_report(store)
    assert store.query("confusions").values.tolist() == [
        ["Granuloma T1", "Tuberculoma T1", 3, 0.6],
        ["Granuloma T1", "Granuloma T2", 2, 0.4],
    ]


def test_similarity_shows_the_most_similar_images_of_the_latest_test_evaluation_first(store: Store) -> None:
    record_report(store)
    later = samples.evaluation(id="v", model_id="m630", split="val", created_at=samples.later(1))
    store.record_evaluation(later, [], [], [], samples.similarity_metrics()[:1])
    shown = store.query("similarity")
    assert shown[["similarity", "from", "to", "n", "accuracy", "nearest"]].values.tolist() == [
        ["pixels", 0.95, 1.0, 272, 0.97, 0.6],
        ["pixels", -1.0, 0.95, 400, 0.75, 0.6],
        ["edges", 0.9, 1.0, 300, 0.96, 0.6],
    ]


def test_histories_are_newest_first(store: Store) -> None:
    record_report(store)
    samples.record_evaluation(store, id="e2", model_id="m100", created_at=samples.later(5), duplicate_free_n=3)
    assert list(store.query("evaluations")["id"]) == ["e2", "e1"]
    assert list(store.query("models")["id"]) == ["m256", "m100", "m630"]


def test_predictions_are_those_of_the_folder_scored_last_the_least_sure_first(store: Store) -> None:
    samples.record_model(store)
    samples.record_run(store, folder="/in_put")
    samples.record_run(store, id="other", folder="/inXput", started_at=samples.later(1))
    samples.record_run(store, id="r2", folder="/in_put", started_at=samples.later(2))
    seen_again = {"seen_at": samples.later(2.5)}
    new = {"run_id": "r2", "scored_at": samples.later(2), "seen_at": samples.later(2)}
    samples.record_predictions(
        store,
        [
            samples.prediction("/in_put/known.jpg", probability=0.3, **seen_again),
            samples.prediction("/in_put/gone.jpg", probability=0.1),
            samples.prediction("/in_put/changed.jpg", sha256="old", probability=0.1),
            samples.prediction("/in_put/as_before.jpg", sha256="first", probability=0.25, **seen_again),
            samples.prediction("/in_put/as_before.jpg", sha256="second", probability=0.1, **new),
            samples.prediction("/inXput/elsewhere.jpg", run_id="other"),
            samples.unreadable("/in_put/bad.jpg", **new),
            samples.prediction("/in_put/_b.jpg", **new),
            samples.prediction("/in_put/Z.jpg", **new),
            samples.prediction("/in_put/changed.jpg", probability=0.2, **new),
        ],
    )
    found = store.query("predictions")
    assert [path.removeprefix("/in_put/") for path in found["path"]] == [
        "changed.jpg", "as_before.jpg", "known.jpg", "Z.jpg", "_b.jpg", "bad.jpg"
    ]  # fmt: skip
    assert found.loc[0, "probability"] == 0.2
    assert list(store.query("scored-runs")["id"]) == ["r2", "other", "r1"]


@pytest.mark.parametrize("name", ["report_table_6", "Report-Table-6"])
def test_a_name_may_be_spelt_as_in_sql(store: Store, name: str) -> None:
    assert list(store.query(name).columns) == ["contrast", "n", "%"]


def test_an_unknown_question_names_the_near_ones(store: Store) -> None:
    with pytest.raises(MriError, match="'worst-clases'") as caught:
        store.query("worst-clases")
    assert "worst-classes" in caught.value.hint and "report-table-1" not in caught.value.hint
    with pytest.raises(MriError) as caught:
        store.query("../../etc/passwd")
    assert caught.value.hint == "run: mri query, which lists them"
