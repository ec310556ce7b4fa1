"""Pages of a small real model, and a headless Chromium to open them in."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mri_model import api, steps
from mri_model.settings import Settings
from tests.conftest import QUICK

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def pages(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``model`` (with pictures), ``plain`` (without), ``compare``, ``sweep`` (of folds), ``data`` (quality report)."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MRI_DATABASE_URL", "MRI_WEIGHTS"):
            patch.delenv(name, raising=False)
        settings = Settings(home=tmp_path_factory.mktemp("browser") / "home")
        data = steps.quality_page(settings, api.ingest(settings, phantom))
        for seed in (0, 1):
            trained = api.train(settings, replace(QUICK, seed=seed))
            api.evaluate(settings, trained.models[0].id)
        first, second = (folder.name for folder in sorted(settings.models.iterdir()) if folder.name[0] != ".")
        plain = api.report(settings, second)
        compare = api.report(settings, first, second)
        model = api.report(settings, first, with_images=True)
        sweep = api.train(settings, replace(QUICK, epochs=1), folds=3).page
        assert sweep
        return {"plain": plain, "compare": compare, "model": model, "sweep": sweep, "data": data}


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no {PROGRAMS[0]} is installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()
