"""Tables of a query's answer as text for a terminal."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

import pandas as pd

GAP = "  "
ELLIPSIS = "…"
DECIMALS = 4
DIGITS = 5
"""At most so many digits in all, before and after the point, as long as those after it are dispensable."""
SHORTEST_PATH = 24
"""Columns of paths are not made narrower, in terminal cells."""
ID_ENDINGS = (6, 8, 10, 16)

_ID_COLUMN = re.compile(r"(^|_)(id|digest|sha256|manifest)$")


@dataclass(frozen=True)
class TextColumn:
    """A column as it is shown: one text per row, without control characters."""

    name: str
    cells: tuple[str, ...]
    is_number: bool = False
    is_path: bool = False

    @property
    def width(self) -> int:
        """Terminal cells of its widest text."""
        return max(map(cells_of, self.cells))


def format_table(frame: pd.DataFrame, width: int = 100) -> str:
    """Format a table for a terminal.

    Moments are shown in local time to the minute, or to the second where the minute does not distinguish two rows;
    fractions with at most four digits after the point, aligned in their column; missing values are empty. Where the
    table is too wide, ids and paths are shortened as long as they stay unambiguous among the rows, then the names of
    the columns are wrapped. A table that still does not fit becomes one block of lines per row.

    Args:
        frame: The rows.
        width: Terminal cells in a line.

    Returns:
        Lines of at most ``width`` cells, as long as the names of the columns allow it.
    """
    if frame.empty:
        return "(no rows)"
    columns = [text_column(str(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns)]
    short = [with_short_ids(column) for column in columns]
    for candidate, wrap in ((columns, False), (short, False), (short, True)):
        fitted = fit_paths(candidate, width, wrap)
        if fitted is not None:
            return as_rows(fitted, wrap)
    return as_blocks(columns, width)


def text_column(name: str, values: pd.Series) -> TextColumn:
    """Format the values of one column by their type."""
    present = [value for value in values if not is_missing(value)]
    if present and all(isinstance(value, datetime) for value in present):
        return TextColumn(name, each(values, moment_format(present)))
    if present and all(is_number(value) for value in present):
        return TextColumn(name, each(values, number_format(present)), is_number=True)
    is_path = any("/" in str(value) for value in present) and not _ID_COLUMN.search(name)
    return TextColumn(name, each(values, lambda value: visible(str(value))), is_path=is_path)


def each(values: pd.Series, show: Callable[[Any], str]) -> tuple[str, ...]:
    return tuple("" if is_missing(value) else show(value) for value in values)


def is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def is_number(value: Any) -> bool:
    return pd.api.types.is_number(value) and not pd.api.types.is_bool(value)


def moment_format(moments: Sequence[datetime]) -> Callable[[datetime], str]:
    """To the minute, or to the second where that distinguishes more of them."""
    in_minutes, in_seconds = ({local(moment, unit) for moment in moments} for unit in ("minutes", "seconds"))
    unit = "minutes" if len(in_minutes) == len(in_seconds) else "seconds"
    return lambda moment: local(moment, unit)


def local(moment: datetime, unit: str) -> str:
    plain = moment.to_pydatetime(warn=False) if isinstance(moment, pd.Timestamp) else moment
    return plain.astimezone().replace(tzinfo=None).isoformat(" ", unit)


def number_format(numbers: Sequence[float]) -> Callable[[float], str]:
    """The same number of decimals for all, without zeros that stand at the end of each; tiny numbers with exponent."""
    finite = [float(number) for number in numbers if abs(number) != float("inf")]
    before_point = len(f"{max(map(abs, finite), default=0):.0f}")
    most = min(DECIMALS, max(0, DIGITS - before_point))
    decimals = max((len(f"{number:.{most}f}".rstrip("0").partition(".")[2]) for number in finite), default=0)

    def show(number: float) -> str:
        if isinstance(number, int) or pd.api.types.is_integer(number):
            return str(number)
        text = f"{number:.{decimals}f}"
        return f"{number:.2g}" if number and not text.strip("-0.") else text

    return show


def visible(text: str) -> str:
    """``text`` with control characters, line ends, direction marks and broken characters as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def cells_of(text: str) -> int:
    """Terminal cells that ``text`` takes: two for a Chinese character, none for a combining accent."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def with_short_ids(column: TextColumn) -> TextColumn:
    """Ids such as ``resnet18-100px-random-0a1b2c3d4e`` as ``resnet18-…-2c3d4e``."""
    if not _ID_COLUMN.search(column.name):
        return column
    for ending in ID_ENDINGS:
        short = tuple(short_id(value, ending) for value in column.cells)
        if is_unambiguous(column.cells, short):
            return TextColumn(column.name, short)
    return column


def short_id(value: str, ending: int) -> str:
    """The first word and the last ``ending`` characters; the first ones of a plain digest."""
    first, dash, rest = value.partition("-")
    short = f"{first}-{ELLIPSIS}-{rest[-ending:]}" if dash else f"{value[: ending + 2]}{ELLIPSIS}"
    return short if len(short) < len(value) else value


def is_unambiguous(full: Sequence[str], short: Sequence[str]) -> bool:
    return len(set(full)) == len(set(short))


def fit_paths(columns: Sequence[TextColumn], width: int, wrap: bool) -> list[TextColumn] | None:
    """Shorten the paths until the table fits into ``width``; None where it cannot."""
    fitted = list(columns)
    widest = sorted((place for place, column in enumerate(fitted) if column.is_path), key=lambda n: -fitted[n].width)
    for count in range(len(widest) + 1):
        excess = table_width(fitted, wrap) - width
        if excess <= 0:
            return fitted
        if count == len(widest):
            break
        column = fitted[widest[count]]
        room = max(SHORTEST_PATH, column.width - excess)
        short = tuple(shorten(value, room) for value in column.cells)
        if not is_unambiguous(column.cells, short):
            return None
        fitted[widest[count]] = TextColumn(column.name, short, is_path=True)
    return None


def shorten(text: str, room: int) -> str:
    """Take out the middle so that ``text`` fits into ``room`` cells; a third is kept of its start, more of its end."""
    if cells_of(text) <= room:
        return text
    start = room // 3
    return take(text, start) + ELLIPSIS + take(text[::-1], room - start - 1)[::-1]


def take(text: str, room: int) -> str:
    """As many characters from the start of ``text`` as fit into ``room`` cells."""
    end = 0
    while end < len(text) and (used := cells_of(text[end])) <= room:
        room -= used
        end += 1
    return text[:end]


def wrapped(text: str, room: int) -> list[str]:
    """Lines of at most ``room`` cells, at least one; a word that is longer is shortened."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cells_of(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(shorten(word, room))
    return [line for line in lines if line] or [""]


def header(column: TextColumn, wrap: bool) -> list[str]:
    """The name, on one line or a line for each of its words."""
    name = visible(column.name)
    return re.split(r"[_ ]", name) if wrap else [name]


def column_width(column: TextColumn, wrap: bool) -> int:
    return max(column.width, *map(cells_of, header(column, wrap)))


def table_width(columns: Sequence[TextColumn], wrap: bool) -> int:
    return sum(column_width(column, wrap) for column in columns) + len(GAP) * (len(columns) - 1)


def as_rows(columns: Sequence[TextColumn], wrap: bool) -> str:
    """A line per row below a line, or more, with the names of the columns."""
    height = max(len(header(column, wrap)) for column in columns)
    padded = []
    for column in columns:
        names = header(column, wrap)
        lines = [*[""] * (height - len(names)), *names, *column.cells]
        padded.append([pad(line, column_width(column, wrap), column.is_number) for line in lines])
    return "\n".join(GAP.join(line).rstrip() for line in zip(*padded, strict=True))


def pad(text: str, width: int, to_the_right: bool) -> str:
    blanks = " " * (width - cells_of(text))
    return blanks + text if to_the_right else text + blanks


def as_blocks(columns: Sequence[TextColumn], width: int) -> str:
    """For each row a line per column, or more for a long text: its name and its value."""
    names = [header(column, wrap=False)[0] for column in columns]
    indent = max(map(cells_of, names))
    room = max(SHORTEST_PATH, width - indent - len(GAP))
    blocks = []
    for values in zip(*(column.cells for column in columns), strict=True):
        lines = [
            pad(start, indent, False) + GAP + line
            for name, value in zip(names, values, strict=True)
            for start, line in zip_longest([name], wrapped(value, room), fillvalue="")
        ]
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks)
