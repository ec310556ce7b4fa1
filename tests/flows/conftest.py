"""One real server and worker for all tests of the flows."""

import os
import sys
from collections.abc import Iterator

import pytest

from mri_model.local_prefect import server
from mri_model.settings import Settings


def say(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.fixture(autouse=True, scope="package")
def no_outer_prefect() -> Iterator[None]:
    """The settings of whoever runs the tests must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "MRI_"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="package")
def own(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose name has all the characters that a database URL gives a meaning to."""
    incoming = tmp_path_factory.mktemp("incoming")
    home = tmp_path_factory.mktemp("home") / "up?a=b #%41@c:d&e"
    return Settings(home=home, incoming=incoming, settle_seconds=1)


@pytest.fixture(scope="package")
def running(own: Settings) -> Iterator[server.Running]:
    try:
        yield server.up(own, say)
    finally:
        server.down(own, say)
