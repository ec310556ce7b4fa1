"""What a run shows in Prefect's UI: progress while it works, tables when it is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import pandas as pd
from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from mri_model.progress import ProgressCallback, progress_lines

UPDATE_SECONDS = 2.0


@contextmanager
def shown_progress(key: str) -> Iterator[ProgressCallback]:
    """A progress for a task: a progress artifact, and now and then a log line with rate and remaining time."""
    artifact = cast(UUID, create_progress_artifact(0.0, key=key, description="begins"))
    log = progress_lines(get_run_logger().info)
    updated = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal updated
        log(stage, done, total)
        if done == total or time.monotonic() - updated > UPDATE_SECONDS:
            updated = time.monotonic()
            share = 100.0 * done / total if total else 100.0
            update_progress_artifact(artifact, share, description=f"{stage}: {done}/{total}")

    yield progress
    update_progress_artifact(artifact, 100.0, description="done")


def show_table(key: str, table: pd.DataFrame, description: str) -> None:
    """A table artifact; missing values are shown empty."""
    create_table_artifact(records(table), key=key, description=description)


def show_markdown(key: str, text: str, description: str) -> None:
    create_markdown_artifact(text, key=key, description=description)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), "")
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
