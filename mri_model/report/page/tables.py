"""Tables as the page shows them: formatted cells, each with the value it is sorted by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

NOTHING = "–"
"""Shown where there is no value."""


@dataclass(frozen=True)
class Bar:
    """A bar with its 95 % interval, as percentages of the width of the cell."""

    width: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Cell:
    """A text, the number it is sorted by (None: by the text), and a bar instead of the text."""

    text: str
    value: float | None = None
    bar: Bar | None = None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: Its heading.
        form: Format of its numbers, for example ``.3f``; empty for texts, ``bar`` for bars.
        is_published: Whether it holds numbers of the published report.
    """

    name: str
    form: str = ""
    is_published: bool = False

    @property
    def is_number(self) -> bool:
        return self.form not in ("", "bar")


@dataclass(frozen=True)
class TableView:
    """A table: caption, columns, rows of cells, and a note below."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def make_table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], note: str = "") -> TableView:
    """Format rows of values, one for each column."""
    cells = tuple(tuple(map(make_cell, columns, row)) for row in rows)
    return TableView(caption, tuple(columns), cells, note)


def make_cell(column: Column, value: Any) -> Cell:
    if isinstance(value, Bar):
        return Cell("", value.width, value)
    if is_missing(value):
        return Cell(NOTHING)
    return Cell(format(value, column.form), float(value)) if column.is_number else Cell(str(value))


def is_missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def shown(value: Any, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return NOTHING if is_missing(value) else format(value, form)


def interval(low: Any, high: Any, form: str = ".3f") -> str:
    """``0.512 to 0.734``; a dash if an end is missing."""
    return NOTHING if is_missing(low) or is_missing(high) else f"{low:{form}} to {high:{form}}"


def share(part: float, whole: float) -> float | None:
    """Percentage; None of nothing."""
    return 100 * part / whole if whole else None


def published(name: str, form: str) -> Column:
    """A column of the published report's numbers."""
    return Column(name, form, is_published=True)
