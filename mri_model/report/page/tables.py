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
class Range:
    """A difference with its 95 % interval on an axis whose middle is 0, as percentages of the width of the cell."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """A text, the number it is sorted by (None: by the text), and a bar or a range instead of the text."""

    text: str
    value: float | None = None
    bar: Bar | None = None
    range: Range | None = None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: Its heading.
        form: Format of its numbers, for example ``.3f`` (``+.3f`` for differences); empty for texts, ``bar`` for bars
            and ranges, ``mark`` for texts that stand out.
        is_published: Whether it holds numbers of the published report.
    """

    name: str
    form: str = ""
    is_published: bool = False

    @property
    def is_number(self) -> bool:
        return self.form not in ("", "bar", "mark")


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
    if isinstance(value, Range):
        return Cell("", value.value, range=value)
    if is_missing(value):
        return Cell(NOTHING)
    return Cell(formatted(value, column.form), float(value)) if column.is_number else Cell(str(value))


def is_missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def shown(value: Any, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return NOTHING if is_missing(value) else formatted(value, form)


def formatted(value: float, form: str) -> str:
    """A number with the minus sign of typography; one that is rounded to zero has no sign."""
    text = format(value, form)
    return text.replace("-", "\N{MINUS SIGN}") if text.strip("+-0.") else text.lstrip("+-")


def interval(low: Any, high: Any, form: str = ".3f") -> str:
    """``0.512 to 0.734``; a dash if an end is missing."""
    return NOTHING if is_missing(low) or is_missing(high) else f"{formatted(low, form)} to {formatted(high, form)}"


def share(part: float, whole: float) -> float | None:
    """Percentage; None of nothing."""
    return 100 * part / whole if whole else None


def published(name: str, form: str) -> Column:
    """A column of the published report's numbers."""
    return Column(name, form, is_published=True)
