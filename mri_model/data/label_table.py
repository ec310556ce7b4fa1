"""A table that names the class of patients, series or files: ``labels.csv``, for data that is not in class folders."""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from mri_model.data.class_folders import parts_of
from mri_model.data.decode import load_content
from mri_model.data.labels import CONTRASTS, bare_contrast
from mri_model.data.medical.slices import split_slice
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.errors import MriError, RefusedError

LABELS_FILE = "labels.csv"
"""Used if it lies in the data folder itself."""

IS_LABELS = "the table of labels"
"""Why the file itself is rejected as an image; followed by the lines that are about none of the images, if any."""

MOST_NAMED = 10

Column = Literal["series", "patient", "path"]
"""What a line names, the most exact first: where several lines fit an image, the first kind decides."""

HINT = "columns, separated by commas: patient, series or path; tumor; contrast (may be empty or missing)"


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        number: In the file, from 1: errors name it, because the line itself may hold a patient's name.
        column: Which column says what it is about.
        value: A PatientID or BIDS subject, a SeriesInstanceUID, or a file or folder below the data folder.
        tumor: The tumor type.
        contrast: The contrast; None: that of the folder, if it has one.
    """

    number: int
    column: Column
    value: str
    tumor: str
    contrast: str | None


@dataclass(frozen=True)
class LabelTable:
    """All lines of a table, each with another value in its column.

    Attributes:
        file: Where it was read.
    """

    file: Path
    lines: tuple[Line, ...]

    @property
    def classes(self) -> list[str]:
        """The classes that lines with a contrast name, sorted; a line without one may be of any contrast."""
        return sorted({class_name(line.tumor, line.contrast) for line in self.lines if line.contrast})

    def labels(self, frame: pd.DataFrame, pseudonyms: Pseudonyms) -> "Labelled":
        """The class of each row of an inventory.

        Raises:
            RefusedError: If a line names patients of two issuers.
        """
        found: list[str | None] = [None] * len(frame)
        used: set[int] = set()
        for column in reversed(get_args(Column)):
            lines = {self._key(line, pseudonyms): line for line in self.lines if line.column == column}
            if not lines:
                continue
            keys = KEYS[column](frame)
            for at, candidates in enumerate(keys):
                line = next((lines[key] for key in candidates if key in lines), None)
                if line:
                    used.add(line.number)
                    found[at] = class_name(line.tumor, line.contrast or contrast_above(str(frame["path"].iloc[at])))
            self._check_issuers(frame, lines)
        unused = [line.number for line in self.lines if line.number not in used]
        return Labelled(found, unused, len(self.lines))

    def _key(self, line: Line, pseudonyms: Pseudonyms) -> str:
        if line.column == "series":
            return pseudonyms.of("series", line.value)
        if line.column == "path":
            return line.value.strip("/")
        return line.value if line.value.startswith("sub-") else pseudonyms.of("number", line.value)

    def _check_issuers(self, frame: pd.DataFrame, lines: dict[str, Line]) -> None:
        of_number = frame.dropna(subset=["patient_number", "patient"]).groupby("patient_number")["patient"].nunique()
        for key in of_number[of_number > 1].index:
            if key in lines:
                raise RefusedError(
                    f"{self.file.name}, line {lines[key].number}: two patients, of two issuers, have that number",
                    "name their series instead",
                )


@dataclass(frozen=True)
class Labelled:
    """What a table says about an inventory.

    Attributes:
        labels: The class of each row; None where no line is about it.
        unused: Numbers of the lines that are about none of the files.
        n_lines: Number of lines.
    """

    labels: list[str | None]
    unused: list[int]
    n_lines: int

    @property
    def reason(self) -> str:
        """Why the table itself is no image, with the lines that are about nothing here, which may be mistyped."""
        if not self.unused:
            return IS_LABELS
        named = ", ".join(map(str, self.unused[:MOST_NAMED])) + (", …" if len(self.unused) > MOST_NAMED else "")
        return f"{IS_LABELS}: {len(self.unused)} of its {self.n_lines} lines are about no file here (lines {named})"


def by_patient(frame: pd.DataFrame) -> Iterable[list[str]]:
    for number, patient in zip(frame["patient_number"], frame["patient"], strict=True):
        yield [each for each in (number, patient) if isinstance(each, str)]


def by_series(frame: pd.DataFrame) -> Iterable[list[str]]:
    return ([each] if isinstance(each, str) else [] for each in frame["series"])


def by_path(frame: pd.DataFrame) -> Iterable[list[str]]:
    """The file and the folders above it, nearest first."""
    for path, series in zip(frame["path"], frame["series"], strict=True):
        parts = parts_of(split_slice(path)[0] if isinstance(series, str) else path)
        yield ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]


KEYS: dict[Column, Callable[[pd.DataFrame], Iterable[list[str]]]] = {
    "series": by_series,
    "patient": by_patient,
    "path": by_path,
}


def class_name(tumor: str, contrast: str | None) -> str:
    return f"{tumor} {contrast}" if contrast else tumor


def contrast_above(path: str) -> str | None:
    """The contrast of the nearest folder that is called like one."""
    return next(filter(None, map(bare_contrast, reversed(parts_of(path)[:-1]))), None)


def find_label_table(root: Path, file: Path | None) -> LabelTable | None:
    """The table that a user names, else ``labels.csv`` in the data folder; None if there is none.

    Raises:
        MriError: If it cannot be read, or is no such table.
    """
    if file is None and not (root / LABELS_FILE).is_file():
        return None
    chosen = file or root / LABELS_FILE
    content = load_content(chosen)
    if not content.sha256:
        raise MriError(f"{chosen} {content.reason}", "give the file of labels")
    return LabelTable(chosen, tuple(parse_lines(chosen.name, content.data)))


def parse_lines(name: str, data: bytes) -> Iterable[Line]:
    """Raises MriError, which names the number of the line and not its contents."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise MriError(f"{name} is no CSV file in UTF-8", "save it as CSV, UTF-8, with commas") from None
    header = [each.strip().lower() for each in rows[0]] if rows else []
    keys = [each for each in get_args(Column) if each in header]
    unknown = set(header) - {*get_args(Column), "tumor", "contrast"}
    if not keys or "tumor" not in header or unknown or len(set(header)) < len(header):
        raise MriError(f"{name} has other columns than a table of labels", HINT)
    seen: set[tuple[str, str]] = set()
    for number, values in enumerate(rows[1:], 2):
        if any(each.strip() for each in values):
            line = parse_line(name, number, header, keys, values)
            if (line.column, line.value) in seen:
                raise MriError(f"{name}, line {number}: an earlier line has the same {line.column}", "leave one")
            seen.add((line.column, line.value))
            yield line


def parse_line(name: str, number: int, header: list[str], keys: list[Column], values: list[str]) -> Line:
    where = f"{name}, line {number}"
    if len(values) != len(header):
        raise MriError(f"{where}: {len(values)} values for {len(header)} columns", HINT)
    cells = {column: value.strip() for column, value in zip(header, values, strict=True)}
    named: list[Column] = [each for each in keys if cells[each]]
    if len(named) != 1:
        raise MriError(f"{where}: exactly one of {', '.join(keys)} must be filled", HINT)
    if not cells["tumor"]:
        raise MriError(f"{where}: the tumor is missing", HINT)
    contrast = bare_contrast(cells["contrast"]) if cells.get("contrast") else None
    if cells.get("contrast") and contrast is None:
        raise MriError(f"{where}: the contrast is none of {', '.join(CONTRASTS)}", "change or empty it")
    return Line(number, named[0], cells[named[0]], cells["tumor"], contrast)
