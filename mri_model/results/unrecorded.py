"""Evaluations that were computed while the database was away: kept on disk, recorded later."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mri_model.files import atomic, read_json, write_json
from mri_model.results.store import Store

ROWS_FILE = "rows.json"
CLASSES = "dataset_class"


@dataclass(frozen=True)
class Unrecorded:
    """An evaluation on disk.

    Attributes:
        folder: Where it is kept; named after its id.
        row: Its row of ``evaluation``.
        dataset: The row of its data set.
        owner: Folder of its model; None if it belongs to a sweep.
    """

    folder: Path
    row: dict[str, Any]
    dataset: dict[str, Any]
    owner: Path | None

    def record(self, store: Store) -> None:
        """Write all rows, then remove the folder. Repeating this is harmless: rows of the same id are replaced."""
        tables = {file.stem: pd.read_parquet(file) for file in sorted(self.folder.glob("*.parquet"))}
        classes = tables.pop(CLASSES)
        if not store.knows_dataset(self.dataset["digest"]):
            store.record_dataset(self.dataset, classes)
        store.record_evaluation(self.row, **tables)
        shutil.rmtree(self.folder)


def keep(
    folder: Path,
    row: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    dataset: tuple[Mapping[str, Any], pd.DataFrame],
    owner: Path | None,
) -> Path:
    """Write an evaluation below ``folder``. The rows come last: without them it is not complete, and not found.

    Args:
        row: Of ``evaluation``.
        tables: Its other rows, by the arguments of ``Store.record_evaluation``.
        dataset: The row of its data set and those of its classes.
        owner: Folder of its model; None if it belongs to a sweep.

    Returns:
        Where it is kept.
    """
    place = folder / str(row["id"])
    for name, table in {**tables, CLASSES: dataset[1]}.items():
        with atomic(place / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)
    rows = {"row": plain(row), "dataset": plain(dataset[0]), "owner": str(owner) if owner else None}
    write_json(place / ROWS_FILE, rows)
    return place


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Moments as ISO 8601."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


def find_unrecorded(folder: Path) -> Iterator[Unrecorded]:
    """The evaluations kept below ``folder``, oldest first."""
    for file in sorted(folder.glob(f"*/{ROWS_FILE}")):
        kept = read_json(file)
        owner = Path(kept["owner"]) if kept["owner"] else None
        yield Unrecorded(file.parent, kept["row"], kept["dataset"], owner)
