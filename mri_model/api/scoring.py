"""Folder of new images → scores."""

from pathlib import Path
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.options import DEFAULT_MODEL, Device, Precision
from mri_model.scoring.participation import ANY, Participation
from mri_model.settings import Settings

if TYPE_CHECKING:
    from mri_model.scoring.run import ScoringRun


def score(
    settings: Settings,
    folder: Path,
    model: str = DEFAULT_MODEL,
    device: Device = "auto",
    csv: Path | None = None,
    precision: Precision = "auto",
    risk: float | None = None,
    run: StepRunner = DIRECT,
    part: Participation = ANY,
    hash_paths: bool = False,
) -> "ScoringRun":
    """Folder of images → one row for every file, in Parquet and in the database.

    Who calls it for a folder that is being scored, or whose scoring was interrupted, joins that run.

    Args:
        csv: Where to write the rows as CSV too.
        risk: Share of wrong answers that is acceptable, in 0-1: answers that are too uncertain for it are not given.
        part: Which run to work on, if not that of the folder as it is.
        hash_paths: Write keyed hashes in place of file paths, which may hold names.

    Raises:
        SkippedError: If the folder is not as ``part`` says.
        MriError: If the folder is missing or empty, the system's own files lie in it, or ``csv`` would.
        RefusedError: If the model's validation images cannot guarantee the risk.
    """
    require_one_process("scoring")
    run(steps.check_scoring, settings, folder, csv)
    run(steps.check_database, settings)
    model_folder = run(steps.choose_model, settings, model)
    scored = run(steps.score_folder, settings, model_folder, folder, device, precision, risk, part, hash_paths)
    if csv:
        run(steps.write_scores_csv, scored, csv)
    return scored
