"""score-mri: folder of new images → one row per file."""

from pathlib import Path

from prefect import flow

from mri_model import api
from mri_model.options import DEFAULT_MODEL, Device
from mri_model.settings import load_settings
from tasks.parameters import Risk, with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="score-mri")
@plain_failures
@with_parameters()
def score_mri(
    folder: Path, model: str = DEFAULT_MODEL, device: Device = "auto", csv: Path | None = None, risk: Risk | None = None
) -> str:
    """Score every file below a folder, to Parquet and the results database; returns the run's id."""
    scored = api.score(load_settings(), folder, model, device, csv, risk, TaskRunner())
    scored.require_scores()
    return scored.run_id
