"""The geometry of the page's line charts; ``macros.html`` draws them."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mri_model.evaluation.calibration import BINS
from mri_model.models.metadata import EpochMetrics
from mri_model.report.curves import LOSSES, SCORES, best_epoch, summary
from mri_model.report.page.tables import Column, TableView, make_table

WIDTH, HEIGHT = 440, 290
"""Size of a chart in its own units; the page scales it to the width that there is."""

LEFT, RIGHT, TOP, BOTTOM = 58, 416, 12, 236
"""The edges of the plot in the chart."""

COVERAGES = (0.8, 0.9, 0.95, 1.0)
MOST_POINTS = 200
SMALLEST_DOT, LARGEST_DOT = 2.0, 7.0
EPOCH_DOT, FEW_EPOCHS_DOT, FEW_EPOCHS = 2.0, 4.0, 10
"""Radius of the dots on learning curves, and on those of few epochs, where the lines are short or none."""

MOST_STEPS = 6
"""Most steps between the ticks of an axis."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Line:
    """A line: its name in the legend, its style (``a``, ``b``, ``c`` or ``reference``) and its dots, if shown."""

    name: str
    style: str
    path: str
    dots: tuple[Dot, ...] = ()


@dataclass(frozen=True)
class Tick:
    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart as it is drawn; ``summary`` says for screen readers what it shows."""

    title: str
    summary: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Axes:
    """Ranges of both axes, and where a point of them lies in the chart."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> Point:
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return LEFT + (RIGHT - LEFT) * across, BOTTOM - (BOTTOM - TOP) * up

    def line(self, name: str, style: str, points: Iterable[Point], radii: Sequence[float] = ()) -> Line:
        """A line through ``points``; with ``radii``, a dot at each."""
        placed = [self.place(*point) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        return Line(name, style, path, tuple(Dot(x, y, r) for (x, y), r in zip(placed, radii, strict=False)))

    def x_ticks(self, values: Iterable[float], text: Callable[[float], str]) -> tuple[Tick, ...]:
        return tuple(Tick(self.place(value, self.y[0])[0], text(value)) for value in values)

    def y_ticks(self, values: Iterable[float], text: Callable[[float], str]) -> tuple[Tick, ...]:
        return tuple(Tick(self.place(self.x[0], value)[1], text(value)) for value in values)


def in_percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def learning_charts(history: Sequence[EpochMetrics]) -> list[Chart]:
    """Losses, and accuracies with macro-F1, by epoch; none without a history."""
    if not history:
        return []
    losses = [getattr(row, field) for row in history for field, _, _ in LOSSES]
    top = max((loss for loss in losses if math.isfinite(loss)), default=1.0) or 1.0
    return [learning_chart(history, "Loss", LOSSES, top), learning_chart(history, "Accuracy and macro-F1", SCORES, 1.0)]


def learning_chart(
    history: Sequence[EpochMetrics], title: str, fields: Sequence[tuple[str, str, str]], highest: float
) -> Chart:
    """Lines from 0 to ``highest`` or a little more, with a dot at each epoch, and the epoch that was kept."""
    last, best = history[-1].epoch, best_epoch(history)
    levels = nice_ticks(0, highest)
    axes = Axes((1, last) if last > 1 else (0, 2), (0, levels[-1]))
    radii = [FEW_EPOCHS_DOT if last <= FEW_EPOCHS else EPOCH_DOT] * last
    lines = [axes.line(f"epoch kept: {best}", "reference", [(best, 0), (best, levels[-1])])]
    lines += [
        axes.line(name, style, finite_points(history, field), radii)
        for (field, name, _), style in zip(fields, "abc", strict=False)
    ]
    said = f"{title} by epoch. {summary(history)}"
    ticks = axes.x_ticks(epoch_ticks(last), lambda x: f"{x:.0f}"), axes.y_ticks(levels, lambda y: f"{y:.3g}")
    return Chart(title, said, "Epoch", title, tuple(lines), *ticks)


def epoch_ticks(last: int) -> list[float]:
    """All epochs where they are few, else round ones."""
    return (
        [float(epoch) for epoch in range(1, last + 1)] if last <= MOST_STEPS else nice_ticks(0, last, inside=True)[1:]
    )


def finite_points(history: Sequence[EpochMetrics], field: str) -> list[Point]:
    points = [(float(row.epoch), float(getattr(row, field))) for row in history]
    return [point for point in points if math.isfinite(point[1])]


def nice_ticks(low: float, high: float, inside: bool = False) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most ``MOST_STEPS`` apart, that hold ``low`` and ``high``.

    Args:
        inside: Without those that lie outside of ``low`` and ``high``.
    """
    scale = 10.0 ** math.floor(math.log10((high - low) / MOST_STEPS))
    for step in (scale * factor for factor in (1, 2, 5, 10, 20)):
        first = math.floor(round(low / step, 9))
        last = math.ceil(round(high / step, 9))
        if last - first <= MOST_STEPS:
            break
    ticks = [round(step * at, 12) for at in range(first, last + 1)]
    return [tick for tick in ticks if low <= tick <= high] if inside else ticks


def reliability(images: pd.DataFrame, after: str) -> Chart:
    """Accuracy by confidence in bins of equal width, before and after calibration, which is called ``after``."""
    axes, right = Axes((0, 1), (0, 1)), is_right(images)
    lines = [axes.line("as confident as accurate", "reference", [(0, 0), (1, 1)])]
    kinds = (("uncalibrated", "before calibration", "b"), ("probability", after, "a"))
    for column, name, style in kinds:
        bins = confidence_bins(images[column].to_numpy(float), right)
        largest = max((n for _, _, n in bins), default=1)
        radii = [SMALLEST_DOT + (LARGEST_DOT - SMALLEST_DOT) * math.sqrt(n / largest) for _, _, n in bins]
        lines.append(axes.line(name, style, [(x, y) for x, y, _ in bins], radii))
    fifths = [part / 5 for part in range(6)]
    said = "Share of right answers by the probability that the model gives; the table below has the numbers."
    ticks = axes.x_ticks(fifths, in_percent), axes.y_ticks(fifths, in_percent)
    return Chart("Reliability", said, "Probability of the answer", "Right answers", tuple(lines), *ticks)


def reliability_table(images: pd.DataFrame) -> TableView:
    bins = confidence_bins(images["probability"].to_numpy(float), is_right(images))
    columns = [Column("Mean probability", ".3f"), Column("Accuracy", ".3f"), Column("Images", "d")]
    return make_table("Reliability after calibration", columns, bins)


def confidence_bins(confidence: np.ndarray, right: np.ndarray) -> list[tuple[float, float, int]]:
    """Mean confidence, accuracy and number of images of each bin that has any."""
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    chosen = [number == each for each in np.unique(number)]
    return [(float(confidence[each].mean()), float(right[each].mean()), int(each.sum())) for each in chosen]


def is_right(images: pd.DataFrame) -> np.ndarray:
    return (images["true_label"] == images["predicted_label"]).to_numpy(bool)


def accuracy_by_coverage(images: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy among the k most confident answers, and the confidence of the k-th, for k from 1: float (n,) each.

    Answers of the same confidence share their errors equally, as in ``calibration.risk_coverage_area``.
    """
    confidence, right = images["probability"].to_numpy(float), is_right(images)
    _, tie, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    share = (np.bincount(tie, right) / size)[np.sort(tie)]
    return np.cumsum(share) / np.arange(1, len(share) + 1), np.sort(confidence)[::-1]


def coverage_chart(images: pd.DataFrame) -> Chart:
    """Accuracy of the answers that remain if the least confident ones are left out."""
    accuracy, _ = accuracy_by_coverage(images)
    n = len(accuracy)
    levels = nice_ticks(min(float(accuracy.min()), 0.9), 1)
    axes = Axes((0, 1), (levels[0], 1))
    chosen = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int))
    line = axes.line("accuracy", "a", [((at + 1) / n, float(accuracy[at])) for at in chosen])
    overall = axes.line("accuracy of all answers", "reference", [(0, accuracy[-1]), (1, accuracy[-1])])
    said = "Accuracy among the most confident answers, by their share; the table has the numbers."
    ticks = axes.x_ticks([part / 5 for part in range(6)], in_percent), axes.y_ticks(levels, in_percent)
    return Chart("Accuracy by coverage", said, "Share of images answered", "Accuracy", (overall, line), *ticks)


def coverage_table(images: pd.DataFrame) -> TableView:
    """Accuracy at some coverages, and the probability from which on an answer is given."""
    accuracy, confidence = accuracy_by_coverage(images)
    columns = [Column("Coverage"), Column("Images", "d"), Column("Accuracy", ".3f")]
    columns.append(Column("Lowest probability", ".3f"))
    rows: list[tuple[Any, ...]] = []
    for coverage in COVERAGES:
        k = max(1, math.ceil(round(coverage * len(accuracy), 9)))
        rows.append((in_percent(coverage), k, accuracy[k - 1], confidence[k - 1]))
    return make_table("Accuracy if only the most confident answers are given", columns, rows)
