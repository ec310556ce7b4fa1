"""``mri watch --once`` says what became of each folder that was due."""

import json
import shutil
from pathlib import Path

import pytest

from mri_model import api
from mri_model.settings import Settings
from tests.cli.test_main import answer, mri
from tests.conftest import QUICK


@pytest.mark.slow
def test_a_look_says_what_became_of_each_folder_and_fails_if_one_was_not_scored(
    settings: Settings, phantom: Path, tmp_path: Path
) -> None:
    api.ingest(settings, phantom)
    api.train(settings, QUICK)
    incoming = tmp_path / "incoming"
    (incoming / "a").mkdir(parents=True)
    for file in sorted(phantom.rglob("*.jpeg"))[:3]:
        shutil.copy(file, incoming / "a" / f"{file.parent.name}-{file.name}")
    (incoming / "a" / "notes.txt").write_text("no image")
    variables = {"MRI_INCOMING": str(incoming), "MRI_SETTLE_SECONDS": "0"}
    assert answer(mri("watch", "--once", "--json", **variables))["due"] == []

    failed = mri("watch", "--once", "--model", "nobody", "--json", **variables)
    shown = json.loads(failed.stdout)
    (due,) = shown["due"]
    assert failed.returncode == 1 and shown["error"].startswith("not scored: ")
    assert "no model matches" in due["problem"] and due["run"] is None
    assert "mri: not scored: " in failed.stderr and "mri query incoming" in failed.stderr

    (incoming / "a" / "more.txt").write_text(
        "no image"
    )  # a failed folder is tried again after minutes, or if it changes
    mri("watch", "--once", **variables)
    scored = mri("watch", "--once", **variables)
    assert scored.returncode == 0
    assert "5 files: " in scored.stderr and " 2 rejected" in scored.stderr and "drift   waiting: " in scored.stderr

    (incoming / "b").mkdir()
    (incoming / "b" / "notes.txt").write_text("no image")
    nothing = mri("score", incoming / "b", "--json")
    assert nothing.returncode == 1
    shown = json.loads(nothing.stdout)
    assert shown["error"].startswith("none of 1 files could be scored") and shown["n_rejected"] == 1
