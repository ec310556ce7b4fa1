"""Folder of new images → scores."""

from pathlib import Path
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.options import DEFAULT_MODEL, Device
from mri_model.settings import Settings

if TYPE_CHECKING:
    from mri_model.scoring.run import ScoringRun


def score(
    settings: Settings,
    folder: Path,
    model: str = DEFAULT_MODEL,
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "ScoringRun":
    """Folder of images → one row for every file, in Parquet and in the database."""
    require_one_process("scoring")
    run(steps.check_database, settings)
    model_folder = run(steps.choose_model, settings, model)
    return run(steps.score_folder, settings, model_folder, folder, device)
