"""The results database: opened, waited for, and the rows that several steps write."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mri_model.data.class_table import class_table
from mri_model.data.manifest import Manifest, find_manifest
from mri_model.errors import UnavailableError
from mri_model.models.metadata import ModelMetadata, read_history, read_metadata
from mri_model.progress import Log, no_log
from mri_model.settings import Settings

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    import pandas as pd

    from mri_model.results.store import Store


RETRY_SECONDS = 5.0
"""How long to wait before the results database is tried again."""

T = TypeVar("T")

REPORT_TABLES = tuple(f"report-table-{number}" for number in range(1, 7))


def open_store(settings: Settings) -> "Store":
    """The results database."""
    from mri_model.results.store import Store

    return Store.open(settings.results_url)


def model_folder(settings: Settings, model_id: str, recorded: Path | str) -> Path:
    """The folder of a recorded model: that in ``MRI_HOME`` if it has one, which may be a copy or have moved."""
    own = settings.models / model_id
    return own if (own / "model.json").is_file() else Path(recorded)


def check_database(settings: Settings, log: Log = no_log) -> None:
    """Open the results database before any work, so that no work is lost if it is unusable.

    Evaluations that could not be recorded earlier are recorded now.
    """
    from mri_model.results.unrecorded import find_unrecorded

    with open_store(settings) as store:
        for kept in find_unrecorded(settings.unrecorded):
            if kept.owner:
                ensure_recorded(settings, store, model_folder(settings, kept.row["model_id"], kept.owner))
            kept.record(store)
            log(f"recorded {kept.row['id']}, which had waited for the database")


def write_rows(settings: Settings, write: "Callable[[Store], T]", log: Log) -> T:
    """Open the results database and write to it; waits for one that is away. ``write`` may be repeated."""

    def attempt() -> T:
        with open_store(settings) as store:
            return write(store)

    return wait_for_database(settings, attempt, log)


class Patient:
    """Calls the methods of ``target`` and waits for a database that goes away. Each of them may be repeated."""

    def __init__(self, settings: Settings, target: Any, log: Log) -> None:
        self._settings, self._target, self._log = settings, target, log

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        return lambda *values, **named: wait_for_database(self._settings, lambda: method(*values, **named), self._log)


def wait_for_database(settings: Settings, attempt: "Callable[[], T]", log: Log) -> T:
    """Repeat ``attempt`` until the database answers. Raises UnavailableError after ``MRI_DATABASE_SECONDS``."""
    give_up = time.monotonic() + settings.database_seconds
    while True:
        try:
            return attempt()
        except UnavailableError as error:
            left = give_up - time.monotonic()
            if left <= 0:
                raise
            log(f"{error}; trying again for {left:.0f} s")
            time.sleep(min(RETRY_SECONDS, left))


def write_dataset_rows(store: "Store", manifest: Manifest) -> None:
    from mri_model.results.records import dataset_row

    store.record_dataset(dataset_row(manifest), class_table(manifest))


def write_model_rows(store: "Store", folder: Path, metadata: ModelMetadata) -> None:
    from mri_model.results.records import epoch_rows, model_row

    row = model_row(metadata, folder, known_dataset(store, metadata.manifest))
    store.record_model(row, epoch_rows(read_history(folder)))


def known_dataset(store: "Store", digest: str) -> str | None:
    """The digest if the database knows the data set, else None."""
    return digest if store.knows_dataset(digest) else None


def ensure_recorded(settings: Settings, store: "Store", folder: Path) -> ModelMetadata:
    """Write the rows of a model that came from elsewhere (another machine, another database), if they are missing."""
    metadata = read_metadata(folder)
    if (settings.manifests / metadata.manifest).is_dir() and not store.knows_dataset(metadata.manifest):
        write_dataset_rows(store, find_manifest(settings.manifests, metadata.manifest))
    if not store.knows_model(metadata.id):
        write_model_rows(store, folder, metadata)
    return metadata


def query_report_tables(settings: Settings) -> "dict[str, pd.DataFrame]":
    """The report's six tables by name, for the latest results."""
    with open_store(settings) as store:
        return {name: store.query(name) for name in REPORT_TABLES}
