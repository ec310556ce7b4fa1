"""Evaluations are in the database whole or not at all, whoever writes and whenever a writer is killed."""

import multiprocessing
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mri_model.results.store import Store
from tests.results import result_samples as samples

PARTS = {"class_metric": 44, "contrast_metric": 3, "confusion": 3, "similarity_metric": 3, "evaluated_image": 3}
"""Rows of each table that one evaluation of the samples has."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with one model."""
    place = f"sqlite:///{tmp_path / 'results.db'}"
    url = str(request.getfixturevalue("postgresql_url") if request.param == "postgresql" else place)
    with Store.open(url) as store:
        samples.record_model(store)
    return url


def write(url: str, name: str, n: int | None = None) -> None:
    """Record ``n`` evaluations, or evaluations without end."""
    with Store.open(url) as store:
        for number in count() if n is None else range(n):
            samples.record_evaluation(store, id=f"{name}-{number}")


def start(*arguments: Any) -> Any:
    process = multiprocessing.get_context("spawn").Process(target=write, args=arguments)
    process.start()
    return process


def whole_evaluations(url: str) -> int:
    """Number of evaluations; fails if one lacks rows, or rows lack their evaluation."""
    with Store.open(url) as store, store.reading() as connection:
        if connection.dialect.name == "postgresql":  # one snapshot for all queries, as SQLite has by itself
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        ids = set(connection.exec_driver_sql("SELECT id FROM evaluation").scalars())
        for table, n in PARTS.items():
            counts = f"SELECT evaluation_id, COUNT(*) FROM {table} GROUP BY evaluation_id"
            rows = connection.exec_driver_sql(counts).all()
            assert {each for each, _ in rows} == ids and {number for _, number in rows} <= {n}, table
    return len(ids)


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_evaluations(url: str) -> None:
    for kill in range(4):
        writer, before = start(url, f"w{kill}"), whole_evaluations(url)
        deadline = time.monotonic() + 60
        while whole_evaluations(url) < before + 2 and time.monotonic() < deadline:
            time.sleep(0.01 * kill)
        writer.kill()
        writer.join()
        assert whole_evaluations(url) >= before + 2


@pytest.mark.slow
def test_writers_at_once_lose_nothing(url: str) -> None:
    writers = [start(url, name, 10) for name in ("a", "b", "c")]
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    assert whole_evaluations(url) == 30
