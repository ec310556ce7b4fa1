"""score-mri: folder of new images → one row per file."""

from pathlib import Path

from prefect import flow

from mri_model import api
from mri_model.options import DEFAULT_MODEL, Device, Precision
from mri_model.scoring.participation import Participation
from mri_model.settings import load_settings
from tasks.deployments import start_helpers
from tasks.events import emit_drifted
from tasks.parameters import Risk, Workers, with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="score-mri")
@plain_failures
@with_parameters()
def score_mri(
    folder: Path,
    model: str = DEFAULT_MODEL,
    device: Device = "auto",
    csv: Path | None = None,
    precision: Precision = "auto",
    risk: Risk | None = None,
    workers: Workers = 1,
    listing: str = "",
    join: str = "",
    hash_paths: bool = False,
) -> str:
    """Score every file below a folder, to Parquet and the results database; returns the run's id."""

    def opened(run_id: str, model_folder: Path) -> None:
        same = {"device": device, "precision": precision, "risk": risk, "hash_paths": hash_paths}
        start_helpers(workers - 1, run_id, {"folder": str(folder), "model": str(model_folder), **same})

    part = Participation(listing, join, opened)
    scored = api.score(load_settings(), folder, model, device, csv, precision, risk, TaskRunner(), part, hash_paths)
    if scored.drift and scored.drift.state == "yes":
        emit_drifted(scored.run_id, scored.model_id, scored.drift.reason)
    scored.require_scores()
    return scored.run_id
