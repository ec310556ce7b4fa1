"""Every table of a results database as a Parquet file."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import JSON, BigInteger, Boolean, Connection, Double, Engine, Integer, Table, func, select

from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress
from mri_model.results import schema
from mri_model.results.columns import Ratio, UtcDateTime

ROWS_A_CHUNK = 20_000
"""Rows in memory at once; also the size of a row group."""

TABLES: tuple[Table, ...] = tuple(table for table in schema.metadata.sorted_tables if table is not schema.view_digest)
"""The tables with results; ``view_digest`` and Alembic's are bookkeeping of this program."""


def export_tables(engine: Engine, folder: Path, progress: ProgressCallback = no_progress) -> dict[str, int]:
    """Write ``<table>.parquet`` for every table, all as of one moment.

    Whole numbers are int64, fractions float64, moments timestamps in UTC (µs), JSON is text. Rows are sorted by their
    key. The folder appears under its name when it is complete.

    Args:
        engine: The results database. It is only read, in one transaction.
        folder: A folder that does not exist or is empty.
        progress: Progress callback, in rows.

    Returns:
        Table name → number of rows.

    Raises:
        MriError: ``folder`` exists and is not an empty folder.
    """
    check_free(folder)
    with complete_folder(folder.resolve()) as temporary, snapshot(engine) as connection:
        counts = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}
        total, done = sum(counts.values()), 0
        progress("export", done, total)
        for table in TABLES:
            for n_rows in write_table(connection, table, temporary / f"{table.name}.parquet"):
                done += n_rows
                progress("export", done, total)
    return counts


def check_free(folder: Path) -> None:
    """Raises MriError unless ``folder`` does not exist or is empty."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise MriError(f"{folder} exists and is not an empty folder", "choose a new folder, or empty this one first")


@contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``. On success it is renamed to ``folder``, otherwise removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        check_free(folder)  # somebody may have filled it meanwhile
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """One transaction that reads: all its statements see the database as it was at the first one.

    On SQLite every transaction is like that; PostgreSQL does it on request.
    """
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def write_table(connection: Connection, table: Table, file: Path) -> Iterator[int]:
    """Write the rows of a table in chunks; yields the number of rows of each chunk."""
    kinds = pa.schema([pa.field(column.name, arrow_type(column.type)) for column in table.columns])
    query = select(table).order_by(*table.primary_key.columns)
    is_json = [isinstance(column.type, JSON) for column in table.columns]
    with file.open("wb") as target:
        with pq.ParquetWriter(target, kinds) as writer:
            rows = connection.execution_options(yield_per=ROWS_A_CHUNK).execute(query)
            for chunk in rows.partitions():
                writer.write_table(arrow_table(chunk, kinds, is_json))
                yield len(chunk)
        target.flush()
        os.fsync(target.fileno())


def arrow_type(kind: Any) -> pa.DataType:
    """The Parquet type of a column's type."""
    if isinstance(kind, UtcDateTime):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, Boolean):
        return pa.bool_()
    if isinstance(kind, Integer | BigInteger):
        return pa.int64()
    if isinstance(kind, Double | Ratio):
        return pa.float64()
    return pa.string()


def arrow_table(rows: Sequence[Sequence[Any]], kinds: pa.Schema, is_json: Sequence[bool]) -> pa.Table:
    columns = zip(zip(*rows, strict=True), kinds, is_json, strict=True)
    arrays = [
        pa.array([as_json(each) for each in values] if coded else values, kind.type) for values, kind, coded in columns
    ]
    return pa.Table.from_arrays(arrays, schema=kinds)


def as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
