"""Rows as the database stores them, and answers as data frames.

A row is a plain mapping of column name → value; rows are an iterable of those or a DataFrame. Values may come
from numpy or pandas; NaN, NA and NaT are stored as null.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Column, Table

from mri_model.results.columns import is_flag, is_moment

Row = Mapping[str, Any]
Rows = pd.DataFrame | Iterable[Row]


def stored_rows(table: Table, rows: Rows, **fixed: Any) -> list[dict[str, Any]]:
    """Rows for the driver: plain Python values for every column. Raises ValueError for an unknown column."""
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    return [stored_row(table, {str(name): value for name, value in record.items()} | fixed) for record in records]


def stored_row(table: Table, record: Row) -> dict[str, Any]:
    """A value for every column, its default where there is none. Raises ValueError for an unknown column."""
    unknown = record.keys() - table.columns.keys()
    if unknown:
        raise ValueError(f"table {table.name!r} has no column {', '.join(sorted(unknown))}")
    return {column.name: stored_value(column, record.get(column.name)) for column in table.columns}


def stored_value(column: Column[Any], value: Any) -> Any:
    plain = plain_value(value)
    return getattr(column.default, "arg", None) if plain is None else plain


def plain_value(value: Any) -> Any:
    """A value without numpy or pandas in it; bytes of a path that are no UTF-8 become escapes such as ``\\udce9``."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain_value(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, str | Path):
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return value


def as_frame(columns: list[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """A frame with the same types on both databases."""
    plain = [[float(value) if isinstance(value, Decimal) else value for value in row] for row in rows]
    frame = pd.DataFrame(plain, columns=columns)
    for name in filter(is_moment, columns):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("us")
    for name in filter(is_flag, columns):
        frame[name] = frame[name].astype(bool if frame[name].notna().all() else "boolean")
    return frame
