"""One small phantom data set for the session; every test gets its own MRI_HOME."""

import shutil
from pathlib import Path

import pytest

from mri_model.data.phantom import write_phantom
from mri_model.settings import Settings
from mri_model.training.recipe import Recipe

QUICK = Recipe(image_size=32, batch_size=32, epochs=2, learning_rate=0.05, momentum=0.9, weights="none")


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
