"""The confusion matrix as a heat map, and its largest confusions as a table."""

from dataclasses import dataclass

import pandas as pd

from mri_model.report.page.contents import EvaluationReport
from mri_model.report.page.tables import Column, TableView, make_table, share

CELL = 18
"""Height and width of a cell in the map's own units."""

LABEL = 176
"""Room for the names of the classes."""

LONGEST_NAME = 26
MOST_CLASSES = 100
"""With more classes, the page has the table only."""

MOST_CONFUSIONS = 25


@dataclass(frozen=True)
class Square:
    """A cell that has images: its place, the strength of its color in 0–1, and what it says."""

    x: float
    y: float
    n: int
    strength: float
    is_right: bool
    title: str


@dataclass(frozen=True)
class Name:
    """A class on both axes; ``place`` is the middle of its row and column."""

    place: float
    text: str


@dataclass(frozen=True)
class Matrix:
    """The heat map; ``borders`` lie between tumors. ``size`` is its height and width."""

    size: float
    names: tuple[Name, ...]
    squares: tuple[Square, ...]
    borders: tuple[float, ...]
    summary: str


def confusion_matrix(report: EvaluationReport) -> Matrix | None:
    """The heat map with the classes sorted by tumor; None if there are too many classes or no images."""
    classes = report.classes.sort_values(["tumor", "contrast", "label"], na_position="first")
    labels, tumors = classes["label"].tolist(), classes["tumor"].tolist()
    if len(labels) > MOST_CLASSES or report.confusion.empty:
        return None
    place = {label: LABEL + CELL * at for at, label in enumerate(labels)}
    right, n = n_right(report.confusion), int(report.confusion["n"].sum())
    return Matrix(
        size=LABEL + CELL * len(labels),
        names=tuple(Name(place[label] + CELL / 2, shortened(label)) for label in labels),
        squares=squares(report.confusion, place),
        borders=tuple(LABEL + CELL * at for at in range(1, len(labels)) if tumors[at] != tumors[at - 1]),
        summary=f"Confusion matrix of {len(labels)} classes: {right} of {n} images on the diagonal. "
        "The table below lists the largest confusions.",
    )


def n_right(confusion: pd.DataFrame) -> int:
    return int(confusion.loc[confusion["true_label"] == confusion["predicted_label"], "n"].sum())


def squares(confusion: pd.DataFrame, place: dict[str, int]) -> tuple[Square, ...]:
    totals = confusion.groupby("true_label")["n"].sum()
    return tuple(
        Square(
            x=place[taken_for],
            y=place[true],
            n=int(n),
            strength=round(0.15 + 0.85 * float(n) / float(totals[true]), 3),
            is_right=true == taken_for,
            title=f"{true}, answered {taken_for}: {n} of {totals[true]}",
        )
        for true, taken_for, n in confusion[["true_label", "predicted_label", "n"]].itertuples(index=False)
        if true in place and taken_for in place
    )


def shortened(label: str) -> str:
    return label if len(label) <= LONGEST_NAME else label[: LONGEST_NAME - 1] + "…"


def largest_confusions(report: EvaluationReport) -> TableView:
    """Pairs of true class and wrong answer, most frequent first."""
    confusion = report.confusion
    totals = confusion.groupby("true_label")["n"].sum()
    wrong = confusion[confusion["true_label"] != confusion["predicted_label"]]
    wrong = wrong.sort_values(["n", "true_label", "predicted_label"], ascending=[False, True, True])
    columns = [Column("True class"), Column("Answer"), Column("Images", "d"), Column("% of the true class", ".0f")]
    rows = [
        (true, taken_for, int(n), share(n, totals[true]))
        for true, taken_for, n in wrong[["true_label", "predicted_label", "n"]]
        .head(MOST_CONFUSIONS)
        .itertuples(index=False)
    ]
    more = max(0, len(wrong) - MOST_CONFUSIONS)
    return make_table(
        "Largest confusions", columns, rows, more_pairs(more, report.evaluation["model_id"]) if more else ""
    )


def more_pairs(n: int, model_id: str | None) -> str:
    """How many pairs the table leaves out and, for a model, the question that lists them."""
    return f"And {n} more pairs" + (f": mri query confusions --model {model_id}" if model_id else ".")
