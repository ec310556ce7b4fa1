"""Two models side by side."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from mri_model.evaluation.comparison import compare as difference
from mri_model.report.page.contents import ModelReport
from mri_model.report.page.tables import Column, TableView, interval, is_missing, make_table
from mri_model.report.page.verdict import Headline, headlines

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
    return Comparison(
        first,
        second,
        tuple(caveats(first, second)),
        verdict(first, second),
        (headlines(first.evaluation), headlines(second.evaluation)),
        overall_table(first, second),
        side_by_side(first.contrasts, second.contrasts, "contrast", "accuracy", "Accuracy by contrast", "Contrast"),
        side_by_side(first.classes, second.classes, "label", "f1", "F1 by class, largest difference first", "Class"),
        difference_table(first, second),
    )


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


def verdict(first: ModelReport, second: ModelReport) -> str:
    """The difference in accuracy on the images that both models answered, with its interval."""
    labels = tuple(sorted({*first.classes["label"], *second.classes["label"]}))
    found = None if first.images.empty or second.images.empty else difference(first.images, second.images, labels)
    if found is None:
        return "No image was recorded for both models, so there is no interval for the difference."
    low, high = found.accuracy_low, found.accuracy_high
    clear = "B is better" if low > 0 else "A is better" if high < 0 else "No clear difference"
    return (
        f"{clear}: on the {found.n} images that both answered, accuracy B − A is {found.accuracy:+.3f} "
        f"(95 % interval {low:+.3f} to {high:+.3f}, by group). {found.changed} answers differ."
    )


def overall_table(first: ModelReport, second: ModelReport) -> TableView:
    columns = [Column("Measure"), Column("A", ".3f"), Column("95 % interval of A"), Column("B", ".3f")]
    columns += [Column("95 % interval of B"), Column("B − A", "+.3f")]
    one, two = first.evaluation, second.evaluation
    rows = [
        (name, one[key], ends(one, key), two[key], ends(two, key), minus(two[key], one[key]))
        for key, name in MEASURES
        if not (is_missing(one[key]) and is_missing(two[key]))
    ]
    note = f"A: {one['n']} images; B: {two['n']} images."
    return make_table("Whole test set", columns, rows, note)


def ends(row: Any, key: str) -> str:
    """The interval of a measure; empty for one that has none."""
    return interval(row[f"{key}_low"], row[f"{key}_high"]) if f"{key}_low" in row else ""


def minus(one: Any, other: Any) -> float | None:
    return None if is_missing(one) or is_missing(other) else one - other


def side_by_side(
    first: pd.DataFrame, second: pd.DataFrame, key: str, value: str, caption: str, heading: str
) -> TableView:
    """One value of each class or contrast for both models, the largest difference first."""
    has_interval = value == "f1"
    one, two = (frame.set_index(key) for frame in (first, second))
    columns = [Column(heading), Column("A", ".3f"), Column("B", ".3f"), Column("B − A", "+.3f")]
    columns += [Column("95 % interval of A"), Column("95 % interval of B")] if has_interval else []
    rows = []
    for name in [*one.index, *(name for name in two.index if name not in one.index)]:
        a, b = (frame.loc[name] if name in frame.index else None for frame in (one, two))
        values = tuple(None if row is None else row[value] for row in (a, b))
        row = (name, *values, minus(values[1], values[0]))
        rows.append((*row, f1_ends(a), f1_ends(b)) if has_interval else row)
    rows.sort(key=lambda row: (-abs(row[3] or 0), str(row[0])))
    return make_table(caption, columns, rows)


def f1_ends(row: Any) -> str | None:
    return None if row is None else interval(row["f1_low"], row["f1_high"], ".2f")


def difference_table(first: ModelReport, second: ModelReport) -> TableView:
    """What differs between the two trainings."""
    one, two = settings_of(first), settings_of(second)
    rows = [(name, one.get(name), two.get(name)) for name in {**one, **two} if str(one.get(name)) != str(two.get(name))]
    return make_table("What differs", [Column("Setting"), Column("A"), Column("B")], rows)


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
