"""The numbers behind tables and charts."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mri_model.evaluation.calibration import calibration_error, risk_coverage_area
from mri_model.report.page import charts, matrix
from mri_model.report.page.image_tables import surest_mistakes
from mri_model.report.page.report_tables import class_bars, report_tables
from mri_model.report.page.tables import Bar, Column, formatted, make_table
from mri_model.report.published import published_results
from tests.report.page.samples import CLASSES, PLAIN_CLASSES, epoch, model_report, sweep_report


def images(confidence: list[float], right: list[bool]) -> pd.DataFrame:
    answers = ["A" if each else "B" for each in right]
    columns = {"true_label": "A", "predicted_label": answers, "probability": confidence, "uncalibrated": confidence}
    return pd.DataFrame(columns | {"path": [f"{row}.png" for row in range(len(right))]})


def test_the_published_averages_follow_from_the_published_classes() -> None:
    printed = published_results()
    rows = pd.DataFrame(printed.table_5, columns=["label", "precision", "recall", "f1", "support"])
    figures = rows[["precision", "recall", "f1"]]
    assert tuple(figures.mean().round(2)) == printed.macro
    weighted = figures.mul(rows["support"], axis=0).sum() / rows["support"].sum()
    assert tuple(weighted.round(2)) == printed.weighted
    assert rows["support"].sum() == printed.n_test
    n_right = (rows["recall"] * rows["support"]).round().sum()
    assert round(n_right / printed.n_test, 3) == printed.accuracy
    assert sum(n for _, n, _ in printed.table_2) == sum(n for _, n, _ in printed.table_1) == printed.n_images
    assert printed.has_classes(CLASSES) and not printed.has_classes(CLASSES[1:])


def test_missing_values_are_a_dash_that_sorts_last() -> None:
    table = make_table(
        "t", [Column("a"), Column("n", ".2f"), Column("b", "bar")], [("x", math.nan, Bar(5)), (None, 1, None)]
    )
    first, second = table.rows
    assert (first[1].text, first[1].value, first[2].value) == ("–", None, 5)
    assert (second[0].text, second[1].text, second[2].bar) == ("–", "1.00", None)


def test_table_5_is_sorted_as_in_the_report() -> None:
    table = next(
        table for table in report_tables(model_report(), published_results(), None) if "Table 5" in table.caption
    )
    f1 = [row[3].value for row in table.rows]
    assert len(f1) == 44 and f1 == sorted(f1, key=lambda value: round(value or 0, 2))


def test_classes_without_test_images_have_no_bar() -> None:
    report = model_report(PLAIN_CLASSES)
    classes = report.classes.copy()
    classes.loc[0, ["support", "f1_low", "f1_high"]] = [0, np.nan, np.nan]
    bars = class_bars(replace(report, classes=classes))
    assert len(bars.rows) == 2
    assert all(bar and (bar.low is None or bar.low <= bar.width <= 100) for bar in (row[1].bar for row in bars.rows))


def test_the_bins_of_the_reliability_picture_give_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.1, 1, 500)
    right = rng.uniform(size=500) < confidence**2
    bins = charts.confidence_bins(confidence, right)
    error = sum(n * abs(mean - accuracy) for mean, accuracy, n in bins) / 500
    assert error == pytest.approx(calibration_error(confidence, right))


def test_coverage_is_what_the_area_is_made_of_and_ties_share_their_errors() -> None:
    table = images([0.9, 0.9, 0.5, 0.3], [True, False, True, False])
    accuracy, lowest = charts.accuracy_by_coverage(table)
    assert accuracy.tolist() == pytest.approx([0.5, 0.5, 2 / 3, 0.5])
    assert lowest.tolist() == [0.9, 0.9, 0.5, 0.3]
    right = (table["true_label"] == table["predicted_label"]).to_numpy()
    assert (1 - accuracy).mean() == pytest.approx(risk_coverage_area(table["probability"].to_numpy(), right))


def test_accuracy_at_coverages() -> None:
    table = charts.coverage_table(images([1 - row / 100 for row in range(20)], [row < 18 for row in range(20)]))
    assert [(row[0].text, row[1].value) for row in table.rows] == [
        ("80 %", 16),
        ("90 %", 18),
        ("95 %", 19),
        ("100 %", 20),
    ]
    assert [row[2].value for row in table.rows] == pytest.approx([1, 1, 18 / 19, 0.9])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_images_and_epochs_can_be_drawn(n: int) -> None:
    table = images([0.5] * n, [False] * n)
    assert charts.coverage_chart(table).lines[1].path
    assert charts.reliability(table, "after").lines[2].dots
    assert len(charts.learning_charts([epoch(number) for number in range(1, n + 1)])) == 2


def test_a_loss_that_is_not_finite_is_not_drawn() -> None:
    history = [replace(epoch(1), train_loss=math.nan), epoch(2)]
    loss, _ = charts.learning_charts(history)
    assert [len(line.dots) for line in loss.lines] == [0, 1, 2]
    assert charts.learning_charts([replace(epoch(1), train_loss=math.nan, val_loss=math.inf)])
    assert charts.learning_charts([]) == []


@pytest.mark.parametrize(("low", "high"), [(0, 4.3), (0, 1), (0.23, 1), (0.9, 1), (0.531, 1), (0, 0.0031), (0, 7e9)])
def test_ticks_are_round_numbers_around_the_values(low: float, high: float) -> None:
    ticks = charts.nice_ticks(low, high)
    steps = np.diff(ticks)
    assert ticks[0] <= low and ticks[-1] >= high and 3 <= len(ticks) <= 7
    assert steps == pytest.approx(steps[0])
    assert f"{steps[0]:.0e}"[0] in "125" and ticks[0] / steps[0] == pytest.approx(round(ticks[0] / steps[0]))


def test_the_axes_of_the_charts_have_round_ticks() -> None:
    chart = charts.coverage_chart(images([1 - row / 100 for row in range(20)], [row % 5 == 0 for row in range(20)]))
    assert [tick.text for tick in chart.y_ticks] == ["20 %", "40 %", "60 %", "80 %", "100 %"]
    loss, scores = charts.learning_charts([epoch(number) for number in range(1, 13)])
    assert [tick.text for tick in loss.x_ticks] == ["2", "4", "6", "8", "10", "12"]
    assert [tick.text for tick in loss.y_ticks] == ["0", "0.5", "1", "1.5", "2", "2.5", "3"]
    assert [tick.text for tick in scores.y_ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_one_epoch_is_drawn_as_large_dots_away_from_the_edge() -> None:
    (loss, _) = charts.learning_charts([epoch(1)])
    (dot,) = loss.lines[1].dots
    assert dot.radius == charts.FEW_EPOCHS_DOT and charts.LEFT + 50 < dot.x < charts.RIGHT - 50
    assert [tick.text for tick in loss.x_ticks] == ["1"]


def test_a_difference_that_rounds_to_zero_has_no_sign() -> None:
    assert [formatted(value, "+.3f") for value in (0.0004, -0.0004, 0.0, 0.25, -0.25)] == [
        "0.000",
        "0.000",
        "0.000",
        "+0.250",
        "−0.250",
    ]


def test_the_matrix_is_sorted_by_tumor_and_holds_every_image() -> None:
    report = model_report()
    found = matrix.confusion_matrix(report)
    assert found and len(found.names) == 44 and len(found.borders) == 14
    assert sum(square.n for square in found.squares) == report.evaluation["n"]
    diagonal = sum(square.n for square in found.squares if square.x == square.y)
    assert diagonal == sum(square.n for square in found.squares if square.is_right)
    assert f"{diagonal} of {report.evaluation['n']} images on the diagonal" in found.summary


def test_the_question_about_further_confusions_names_the_model_and_a_cross_validation_has_none() -> None:
    model, sweep = matrix.largest_confusions(model_report()).note, matrix.largest_confusions(sweep_report()).note
    assert model.endswith("more pairs: mri query confusions --model resnet18-64px-random-0123456789")
    assert sweep.endswith("more pairs.")


def test_the_surest_mistakes_come_first() -> None:
    found = surest_mistakes(images([0.9, 0.8, 0.7, 0.95], [False, False, True, False]), 2)
    assert found["probability"].tolist() == [0.95, 0.9]
