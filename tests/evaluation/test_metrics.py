import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score, classification_report, top_k_accuracy_score

from mri_model.data.labels import Label, parse_label
from mri_model.evaluation.metrics import (
    NEAR_DUPLICATE,
    SIMILAR,
    UNLIKE,
    Evaluation,
    Predictions,
    evaluate_predictions,
    summarize,
)
from tests.evaluation.samples import predictions

NAMES = ["A T1", "A T2", "B T1", "B T1C+", "never"]
LABELS = tuple(parse_label(name) for name in NAMES)


def evaluate(
    targets: np.ndarray,
    predicted: np.ndarray,
    labels: tuple[Label, ...] = LABELS,
    duplicate_free: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Evaluation:
    """Every image is duplicate-free and a group of its own unless something else is given."""
    given = {"duplicate_free": duplicate_free, "group": groups}
    columns = {name: values for name, values in given.items() if values is not None}
    return evaluate_predictions(predictions(targets, predicted, len(labels), **columns), labels)


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, 200)
    return targets, np.where(rng.random(200) < 0.7, targets, rng.integers(0, 4, 200))


def test_everything_agrees_with_scikit_learns_report(answers: tuple[np.ndarray, np.ndarray]) -> None:
    targets, predicted = answers
    done = evaluate(targets, predicted)
    theirs = classification_report(targets, predicted, output_dict=True, zero_division=0)
    assert done.overall.accuracy == pytest.approx(theirs["accuracy"])
    for average in ("macro", "weighted"):
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert getattr(done.overall, f"{average}_{name}") == pytest.approx(theirs[f"{average} avg"][key])
    for row in done.classes.head(4).to_dict("records"):
        assert row["f1"] == pytest.approx(theirs[str(row["position"])]["f1-score"])
        assert row["support"] == theirs[str(row["position"])]["support"]


@pytest.mark.parametrize("predicted_as_empty", [0, 30])
def test_a_class_without_images_is_a_row_of_zeros_and_no_part_of_the_average(
    answers: tuple[np.ndarray, np.ndarray], predicted_as_empty: int
) -> None:
    targets, predicted = answers
    predicted[:predicted_as_empty] = 4
    done = evaluate(targets, predicted)
    assert done.classes.iloc[4][["precision", "recall", "f1", "support"]].tolist() == [0, 0, 0, 0]
    for name in ("precision", "recall", "f1"):
        assert getattr(done.overall, f"macro_{name}") == pytest.approx(done.classes[name].head(4).mean())
        assert getattr(done.overall, f"macro_{name}") > done.classes[name].mean() + 0.1
    assert done.contrasts["n"].sum() == 200


def test_a_class_knows_of_how_many_groups_its_images_are() -> None:
    groups = np.array([7, 7, 7, 8, pd.NA, pd.NA], dtype=object)
    found = predictions(np.array([0, 0, 1, 0, 1, 1]), np.zeros(6, np.intp), 5, group=groups)
    assert evaluate_predictions(found, LABELS).classes["n_groups"].tolist() == [2, 3, 0, 0, 0]


def test_classes_have_the_average_precision_of_scikit_learn_and_intervals_that_hold_their_f1() -> None:
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 4, 300)
    logits = rng.normal(size=(300, 5)) + 2 * np.eye(5)[targets]
    found = Predictions.of_logits(logits, 0.7, targets, predictions(targets, targets, 5).images)
    done = evaluate_predictions(found, LABELS)
    classes = done.classes.set_index("label")
    for each, name in enumerate(NAMES[:4]):
        expected = average_precision_score(targets == each, softmax(logits / 0.7, axis=1)[:, each])
        assert classes.loc[name, "average_precision"] == pytest.approx(expected, abs=1e-5)
        assert classes.loc[name, "f1_low"] < classes.loc[name, "f1"] < classes.loc[name, "f1_high"]
    assert classes.loc["never", ["average_precision", "f1_low", "f1_high"]].isna().all()
    assert done.overall.mean_average_precision == pytest.approx(classes["average_precision"].head(4).mean())
    assert done.overall.top3_accuracy == pytest.approx(top_k_accuracy_score(targets, logits, k=3, labels=range(5)))
    assert done.overall.top5_accuracy == 1.0


def test_every_image_has_a_row_from_which_the_figures_can_be_computed(answers: tuple[np.ndarray, np.ndarray]) -> None:
    done = evaluate(*answers)
    rows, overall = done.images, done.overall
    right = rows["true_label"] == rows["predicted_label"]
    assert len(rows) == overall.n and right.mean() == overall.accuracy
    assert ((rows["true_rank"] == 1) == right).all() and (rows["true_rank"] <= 5).mean() == overall.top5_accuracy
    assert rows["path"].is_unique
    recall = right.groupby(rows["true_label"]).mean()
    assert recall.to_dict() == pytest.approx(done.classes.set_index("label")["recall"].head(4).to_dict())


def test_contrasts_are_those_of_the_true_class(answers: tuple[np.ndarray, np.ndarray]) -> None:
    targets, predicted = answers
    contrasts = evaluate(targets, predicted).contrasts.set_index("contrast")
    assert list(contrasts.index) == ["T1", "T1C+", "T2"]
    t1 = np.isin(targets, [0, 2])
    assert contrasts.loc["T1", "n"] == t1.sum()
    assert contrasts.loc["T1", "accuracy"] == pytest.approx((targets == predicted)[t1].mean())


def test_a_contrasts_f1_is_the_mean_of_its_classes(answers: tuple[np.ndarray, np.ndarray]) -> None:
    done = evaluate(*answers)
    f1 = done.classes.set_index("label")["f1"]
    contrasts = done.contrasts.set_index("contrast")["macro_f1"]
    assert contrasts["T1"] == pytest.approx((f1["A T1"] + f1["B T1"]) / 2)
    assert contrasts["T2"] == pytest.approx(f1["A T2"])


def test_a_class_that_is_only_predicted_does_not_lower_the_average() -> None:
    averages = summarize(np.array([0, 0, 0, 1]), np.array([0, 0, 2, 1]))
    assert averages.macro_recall == pytest.approx((2 / 3 + 1) / 2)


def test_classes_without_contrast_give_no_contrast_rows() -> None:
    labels = (parse_label("glioma"), parse_label("healthy"))
    done = evaluate(np.array([0, 1]), np.array([0, 0]), labels)
    assert done.contrasts.empty
    assert list(done.contrasts.columns) == ["contrast", "n", "accuracy", "macro_f1"]


def test_confusions_count_every_image_once(answers: tuple[np.ndarray, np.ndarray]) -> None:
    targets, predicted = answers
    cells = evaluate(targets, predicted).confusion
    assert cells["n"].sum() == 200
    assert (cells["n"] > 0).all()
    right = cells[cells["true_label"] == cells["predicted_label"]]["n"].sum()
    assert right == (targets == predicted).sum()


def test_the_duplicate_free_subset_is_evaluated_on_its_own(answers: tuple[np.ndarray, np.ndarray]) -> None:
    targets, predicted = answers
    free = np.arange(200) < 50
    overall = evaluate(targets, predicted, LABELS, free).overall
    assert overall.duplicate_free_n == 50
    assert overall.duplicate_free_accuracy == pytest.approx((targets == predicted)[:50].mean())
    none = evaluate(targets, predicted, LABELS, np.zeros(200, bool)).overall
    assert (none.duplicate_free_n, none.duplicate_free_accuracy) == (0, None)


def test_tumor_and_contrast_are_also_evaluated_alone() -> None:
    labels = tuple(parse_label(name) for name in ("A T1", "A T2", "B T1", "B T2"))
    targets, predicted = np.array([0, 1, 2, 3]), np.array([1, 1, 0, 3])
    overall = evaluate(targets, predicted, labels).overall
    assert (overall.accuracy, overall.tumor_accuracy, overall.contrast_accuracy) == (0.5, 0.75, 0.75)


def test_contrast_alone_says_nothing_where_classes_have_none() -> None:
    labels = (parse_label("glioma"), parse_label("healthy"))
    overall = evaluate(np.array([0, 1]), np.array([0, 0]), labels).overall
    assert (overall.tumor_accuracy, overall.contrast_accuracy, overall.contrast_macro_f1) == (0.5, None, None)


def test_intervals_hold_the_value_and_come_out_the_same_again(answers: tuple[np.ndarray, np.ndarray]) -> None:
    groups = np.where(np.arange(200) < 50, np.nan, np.arange(200) // 4)
    first, again = (evaluate(*answers, LABELS, None, groups).overall for _ in range(2))
    assert first == again
    for name in ("accuracy", "macro_f1"):
        assert getattr(first, f"{name}_low") < getattr(first, name) < getattr(first, f"{name}_high")


def test_images_are_evaluated_by_their_resemblance_to_the_training_images() -> None:
    targets, predicted = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 0, 0])
    kinds = [NEAR_DUPLICATE, NEAR_DUPLICATE, UNLIKE, UNLIKE, UNLIKE]
    overall = evaluate_predictions(predictions(targets, predicted, 5, resemblance=kinds), LABELS).overall
    assert (overall.near_duplicate_n, overall.near_duplicate_accuracy) == (2, 1.0)
    assert (overall.unlike_n, overall.unlike_accuracy) == (3, pytest.approx(1 / 3))
    assert (overall.similar_n, overall.similar_accuracy) == (0, None)


def test_each_bin_of_similarity_has_its_metrics_and_those_of_the_nearest_training_image() -> None:
    targets, predicted = np.array([0, 1, 2, 0]), np.array([0, 1, 0, 1])
    found = predictions(
        targets,
        predicted,
        5,
        pixels=np.array([1, 0.95, 0.94999, -0.2], np.float32),
        pixels_label=[0, 3, 2, -1],
        pixels_other=np.array([0.5, 0.75, 0.25, np.nan], np.float32),
    )
    table = evaluate_predictions(found, LABELS).similarities
    pixels = table[table["similarity"] == "pixels"].drop(columns="similarity")
    assert pixels.iloc[:, :-1].values.tolist() == [
        [-1.0, 0.75, 1, 0.0, 0.0, 0.0],
        [0.90, 0.95, 1, 0.0, 0.0, 1.0],
        [0.95, 1.0, 2, 1.0, 1.0, 0.5],
    ]
    assert pixels["nearest_other"].tolist()[1:] == [0.25, 0.625]
    assert np.isnan(pixels["nearest_other"].iloc[0])
    assert table.groupby("similarity")["n"].sum().tolist() == [4, 4]


def test_the_images_of_an_examination_and_of_a_group_are_answered_together() -> None:
    labels = tuple(parse_label(name) for name in ("A T1", "A T2", "B T1", "B T2"))
    probabilities = np.array(
        [
            [0.4, 0.0, 0.6, 0.0],  # wrong alone, right with the next image of the examination
            [0.9, 0.0, 0.1, 0.0],
            [0.0, 0.3, 0.0, 0.7],  # another contrast of this group, wrong; the tumor of all three is right
            [0.0, 0.4, 0.3, 0.3],  # the tumor is right although no class of it is the most probable
        ],
        np.float32,
    )
    images = predictions(np.zeros(4, int), np.zeros(4, int), 4, group=[7, 7, 7, np.nan]).images
    found = Predictions(np.array([0, 0, 1, 3]), probabilities, probabilities.max(axis=1), images)
    overall = evaluate_predictions(found, labels).overall
    assert overall.accuracy == 0.25
    assert (overall.examination_n, overall.examination_accuracy) == (3, pytest.approx(1 / 3))
    assert (overall.group_n, overall.group_tumor_accuracy) == (2, 1.0)


def test_images_without_a_group_are_answered_alone() -> None:
    overall = evaluate(np.array([0, 0, 1]), np.array([0, 1, 1]), groups=np.array([None] * 3, object)).overall
    assert (overall.examination_n, overall.group_n) == (3, 3)


def test_pooled_folds_are_answered_by_group_and_by_similarity_too() -> None:
    first = predictions(np.array([0, 0]), np.array([0, 1]), 5, group=[1, 1], resemblance=UNLIKE)
    second = predictions(np.array([1, 1]), np.array([1, 1]), 5, group=[2, 3], resemblance=SIMILAR)
    pooled = evaluate_predictions(Predictions.concatenate([first, second]), LABELS)
    assert (pooled.overall.group_n, pooled.overall.unlike_n, pooled.overall.similar_n) == (3, 2, 2)
    assert pooled.similarities["n"].tolist() == [4, 4]
