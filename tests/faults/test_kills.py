"""After SIGKILL at any moment complete files are intact, and the next run finishes the work."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from mri_model import api
from mri_model.cli.main import app
from mri_model.data.manifest import find_manifest
from mri_model.settings import Settings
from mri_model.training.checkpoint import CHECKPOINT_FILE

pytestmark = pytest.mark.slow

TRAIN = ["train", "--image-size", "32", "--epochs", "4", "--batch-size", "32", "--weights", "none"]


def run(arguments: list[str]) -> None:
    """Run a command to its end, in this process to save the start of another."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output


def run_and_kill(arguments: list[str], moment: Callable[[], bool]) -> None:
    process = subprocess.Popen([sys.executable, "-m", "mri_model.cli", *arguments], stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not moment():
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < limit
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_training_resumes_and_ends_with_the_same_weights(
    settings: Settings, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.ingest(settings, phantom)
    run_and_kill(TRAIN, lambda: any(settings.models.glob(f"*/{CHECKPOINT_FILE}")))
    assert not list(settings.models.glob("*/model.json"))
    run(TRAIN)
    resumed = next(settings.models.glob("*/model.safetensors"))

    monkeypatch.setenv("MRI_HOME", str(tmp_path / "undisturbed"))
    api.ingest(Settings(), phantom)
    run(TRAIN)
    whole = next(Settings().models.glob("*/model.safetensors"))
    assert resumed.parent.name == whole.parent.name
    first, second = load_file(resumed), load_file(whole)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("moment", ["within an epoch", "while a checkpoint is written"])
def test_a_training_killed_twice_at_any_moment_ends_with_the_same_weights(
    settings: Settings, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """With a checkpoint after every step, of two epochs of twenty steps."""
    monkeypatch.setenv("MRI_CHECKPOINT_SECONDS", "0")
    command = ["train", "--image-size", "32", "--epochs", "2", "--batch-size", "5", "--weights", "none"]
    api.ingest(settings, phantom)
    for _ in range(2):
        checkpoints = {file.stat().st_mtime_ns for file in settings.models.glob(f"*/{CHECKPOINT_FILE}")}

        def written() -> bool:
            found = [file.stat().st_mtime_ns for file in settings.models.glob(f"*/{CHECKPOINT_FILE}")]
            half = moment == "within an epoch" or any(settings.models.glob(f"*/.{CHECKPOINT_FILE}.*"))
            return bool(found) and not checkpoints & set(found) and half  # noqa: B023  # called within the loop

        run_and_kill(command, written)
        assert not list(settings.models.glob("*/model.json"))
    monkeypatch.setenv("MRI_CHECKPOINT_SECONDS", "60")
    run(command)
    resumed = next(settings.models.glob("*/model.safetensors"))
    assert [file.name for file in resumed.parent.iterdir() if file.name.startswith(".")] == []

    monkeypatch.setenv("MRI_HOME", str(tmp_path / "undisturbed"))
    api.ingest(Settings(), phantom)
    run(command)
    first, second = load_file(resumed), load_file(next(Settings().models.glob("*/model.safetensors")))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_ingestion_leaves_the_last_manifest_in_place(settings: Settings, phantom: Path) -> None:
    good = api.ingest(settings, phantom)
    result = settings.manifests / "validation.json"
    before = result.stat().st_mtime_ns
    run_and_kill(["ingest", str(phantom), "--seed", "1"], lambda: result.stat().st_mtime_ns != before)
    assert find_manifest(settings.manifests, good.digest).frame.equals(good.frame)
    assert api.ingest(settings, phantom, seed=1).seed == 1
    assert len(list(settings.manifests.glob("*/manifest.parquet"))) == 2
