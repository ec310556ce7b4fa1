"""A home with a trained model, and a folder to score."""

import shutil
from pathlib import Path

import pytest

from mri_model import api
from mri_model.settings import Settings
from tests.conftest import QUICK


@pytest.fixture(scope="session")
def trained_home(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a manifest and a model. Tests copy it."""
    home = Settings(home=tmp_path_factory.mktemp("trained"), database_url="")
    api.ingest(home, phantom)
    api.train(home, QUICK)
    return home.root


@pytest.fixture
def trained(settings: Settings, trained_home: Path) -> Path:
    """The model folder in the test's own home."""
    shutil.copytree(trained_home, settings.root)
    return next(settings.models.glob("resnet18-*"))


@pytest.fixture
def incoming(own_phantom: Path, tmp_path: Path) -> Path:
    """20 images in one flat folder."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    for number, file in enumerate(sorted(own_phantom.rglob("*.jpeg"))[:20]):
        file.rename(folder / f"{number:02d}.jpeg")
    return folder
