"""Two models side by side."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mri_model.evaluation.bootstrap import MIN_GROUPS
from mri_model.evaluation.comparison import Difference
from mri_model.evaluation.comparison import compare as difference
from mri_model.report.page.contents import ModelReport
from mri_model.report.page.tables import Column, Range, TableView, formatted, interval, is_missing, make_table
from mri_model.report.page.verdict import Headline, headlines

SIGNIFICANT = 0.05
"""A difference is claimed below this p value, if its interval excludes 0 too."""

MEASURES = (
    ("accuracy", "Accuracy"),
    ("macro_f1", "Macro-F1"),
    ("weighted_f1", "Weighted F1"),
    ("near_duplicate_accuracy", "Accuracy with a near duplicate in training"),
    ("similar_accuracy", "Accuracy in between"),
    ("unlike_accuracy", "Accuracy unlike any training image"),
    ("duplicate_free_accuracy", "Accuracy with nothing of its source seen"),
    ("examination_accuracy", "Accuracy by examination"),
    ("group_tumor_accuracy", "Accuracy by group, tumor alone"),
    ("tumor_accuracy", "Accuracy, tumor alone"),
    ("contrast_accuracy", "Accuracy, contrast alone"),
    ("top3_accuracy", "Accuracy among the three most probable"),
    ("mean_average_precision", "Mean average precision"),
    ("calibration_error", "Calibration error (lower is better)"),
    ("risk_coverage_area", "Area under risk and coverage (lower is better)"),
)
"""Columns of the table ``evaluation`` with their names."""


@dataclass(frozen=True)
class Comparison:
    """What ``compare.html`` shows.

    Attributes:
        first, second: The models, A and B.
        caveats: Why their figures cannot be compared as they are; empty if they can.
        verdict: The difference in words.
        headlines: The large numbers of each.
        overall, contrasts, classes, differences: Tables; ``differences`` lists what differs in recipe and data.
            ``classes`` has the interval of each difference if any image was recorded for both.
    """

    first: ModelReport
    second: ModelReport
    caveats: tuple[str, ...]
    verdict: str
    headlines: tuple[list[Headline], list[Headline]]
    overall: TableView
    contrasts: TableView
    classes: TableView
    differences: TableView


def compare(first: ModelReport, second: ModelReport) -> Comparison:
    found = on_common_images(first, second)
    return Comparison(
        first,
        second,
        tuple(caveats(first, second)),
        verdict(found),
        (headlines(first.evaluation), headlines(second.evaluation)),
        overall_table(first, second, found),
        side_by_side(first.contrasts, second.contrasts, "contrast", "accuracy", "Accuracy by contrast", "Contrast"),
        class_table(found, labels_of(first, second)) if found else f1_table(first, second),
        difference_table(first, second),
    )


def on_common_images(first: ModelReport, second: ModelReport) -> Difference | None:
    """The difference on the images that both models answered; None if there are none."""
    if first.images.empty or second.images.empty:
        return None
    return difference(first.images, second.images, labels_of(first, second))


def labels_of(first: ModelReport, second: ModelReport) -> tuple[str, ...]:
    return tuple(sorted({*first.classes["label"], *second.classes["label"]}))


def caveats(first: ModelReport, second: ModelReport) -> list[str]:
    """What makes the two sets of figures incomparable."""
    one, two = first.evaluation, second.evaluation
    found = []
    if one["dataset_digest"] != two["dataset_digest"]:
        found.append("The models were tested on different data sets.")
    if first.model.protocol != second.model.protocol:
        pair = f"{first.model.protocol} and {second.model.protocol}"
        found.append(f"The protocols differ ({pair}): the random split gives higher figures than the grouped one.")
    if one["split"] != two["split"]:
        found.append(f"The splits differ: {one['split']} and {two['split']}.")
    if set(first.classes["label"]) != set(second.classes["label"]):
        found.append("The models have different classes.")
    if not found and one["n"] != two["n"]:
        found.append(f"The numbers of images differ: {one['n']} and {two['n']}.")
    return found


def verdict(found: Difference | None) -> str:
    """The difference in accuracy on the images that both models answered, with its interval."""
    if found is None:
        return "No image was recorded for both models, so there is no interval for the difference."
    clear = {"B": "B is better", "A": "A is better"}.get(better(found.accuracy_low, found.accuracy_high))
    if found.p_value >= SIGNIFICANT:
        clear = None  # where the interval and the test disagree, nothing is claimed
    low_to_high = interval(found.accuracy_low, found.accuracy_high, "+.3f")
    answers = "answer differs" if found.changed == 1 else "answers differ"
    chance = "below 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"
    return (
        f"{clear or 'No clear difference'}: on the {found.n} images that both answered, accuracy B − A is "
        f"{formatted(found.accuracy, '+.3f')} (95 % interval {low_to_high}, by {found.unit}; permutation test, "
        f"p {chance}). {found.changed} {answers}."
    )


def better(low: float, high: float) -> str:
    """Which model is better, if the interval of B − A excludes 0: ``A``, ``B``, or nothing."""
    return "B" if low > 0 else "A" if high < 0 else ""


def overall_table(first: ModelReport, second: ModelReport, found: Difference | None) -> TableView:
    """All measures side by side; the difference has an interval if both models were tested on the same images."""
    one, two = first.evaluation, second.evaluation
    same = vars(found) if found and one["n"] == two["n"] == found.n else {}
    columns = [Column("Measure"), Column("A", ".3f"), Column("95 % interval of A"), Column("B", ".3f")]
    columns += [Column("95 % interval of B"), Column("B − A", "+.3f"), Column("95 % interval of B − A")]
    rows = [
        (name, one[key], ends(one, key), two[key], ends(two, key), minus(two[key], one[key]), ends(same, key, "+.3f"))
        for key, name in MEASURES
        if not (is_missing(one[key]) and is_missing(two[key]))
    ]
    note = f"A: {one['n']} images; B: {two['n']} images."
    return make_table("All measures", columns, rows, note)


def ends(row: Any, key: str, form: str = ".3f") -> str:
    """The interval of a measure; empty for one that has none."""
    return interval(row[f"{key}_low"], row[f"{key}_high"], form) if f"{key}_low" in row else ""


def minus(one: Any, other: Any) -> float | None:
    return None if is_missing(one) or is_missing(other) else one - other


def side_by_side(
    first: pd.DataFrame, second: pd.DataFrame, key: str, value: str, caption: str, heading: str
) -> TableView:
    """One value of each class or contrast for both models, the largest difference first."""
    one, two = (frame.set_index(key)[value] for frame in (first, second))
    columns = [Column(heading), Column("A", ".3f"), Column("B", ".3f"), Column("B − A", "+.3f")]
    names = [*one.index, *(name for name in two.index if name not in one.index)]
    rows = [(name, one.get(name), two.get(name), minus(two.get(name), one.get(name))) for name in names]
    rows.sort(key=lambda row: (-abs(row[3] or 0), str(row[0])))
    return make_table(caption, columns, rows)


def f1_table(first: ModelReport, second: ModelReport) -> TableView:
    """F1 by class for models that have no image in common."""
    return side_by_side(first.classes, second.classes, "label", "f1", "F1 by class, largest difference first", "Class")


def class_table(found: Difference, labels: tuple[str, ...]) -> TableView:
    """F1 of each class on the common images, with the interval of the difference: clear differences first.

    Args:
        found: The difference.
        labels: The classes of both models.
    """
    columns = [Column("Class"), Column("Clear difference", "mark"), Column("A", ".2f"), Column("B", ".2f")]
    columns += [Column("B − A as a picture", "bar"), Column("B − A", "+.2f"), Column("95 % interval of B − A")]
    columns += [Column("Images", "d"), Column(f"{found.unit.capitalize()}s", "d")]
    classes = found.classes.to_dict("records")
    reach = found.classes[["difference", "difference_low", "difference_high"]].abs().max().max() or 1
    rows = [
        (
            row["label"],
            mark(row),
            row["first"],
            row["second"],
            difference_range(row, reach),
            row["difference"],
            interval(row["difference_low"], row["difference_high"], "+.2f"),
            row["n"],
            row["n_groups"],
        )
        for row in sorted(classes, key=lambda row: (not better_in(row), -abs(row["difference"]), row["label"]))
    ]
    return make_table("F1 by class, clear differences first", columns, rows, class_note(found, labels))


def better_in(row: Mapping[Hashable, Any]) -> str:
    return better(row["difference_low"], row["difference_high"])


def mark(row: Mapping[Hashable, Any]) -> str | None:
    """``B better``; None without a clear difference."""
    found = better_in(row)
    return f"{found} better" if found else None


def difference_range(row: Mapping[Hashable, Any], reach: float) -> Range:
    """The difference and its interval, if it has one; an axis from ``-reach`` to ``reach``."""
    ends = [row["difference"] if is_missing(row[name]) else row[name] for name in ("difference_low", "difference_high")]
    return Range(*(50 + 50 * each / reach for each in (row["difference"], *ends)))


def class_note(found: Difference, labels: tuple[str, ...]) -> str:
    """How to read the table of the classes, and which of them it leaves out."""
    n, clear = len(found.classes), sum(1 for row in found.classes.to_dict("records") if better_in(row))
    said = (
        f"On the images that both answered. Intervals are drawn by {found.unit}, for both models together. A "
        f"difference is clear if its interval excludes 0: {clear} of {n}, where chance alone makes about "
        f"{n * 0.05:.0f}. A class of fewer than {MIN_GROUPS} {found.unit}s has no interval."
    )
    absent = [label for label in labels if label not in set(found.classes["label"])]
    return said + (f" Without such an image: {', '.join(absent)}." if absent else "")


def difference_table(first: ModelReport, second: ModelReport) -> TableView:
    """What differs between the two trainings."""
    one, two = settings_of(first), settings_of(second)
    rows = [(name, one.get(name), two.get(name)) for name in {**one, **two} if str(one.get(name)) != str(two.get(name))]
    return make_table("Settings that differ", [Column("Setting"), Column("A"), Column("B")], rows)


def settings_of(report: ModelReport) -> dict[str, Any]:
    model = report.model
    return {
        "data set": model.manifest,
        "protocol": model.protocol,
        **model.recipe,
        "epoch kept": model.metrics.epoch,
        "temperature": f"{model.temperature:.3f}",
        "seconds of training": f"{model.seconds:.0f}",
        **{f"version of {name}": version for name, version in model.versions.items()},
        "commit": model.git_commit,
    }
