"""The step of scoring."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data.hidden_paths import HiddenPaths
from mri_model.data.listing import check_outside, require_folder
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.errors import MriError
from mri_model.options import Precision
from mri_model.progress import Log, ProgressCallback, no_log, no_progress
from mri_model.scoring.participation import ANY, Participation
from mri_model.settings import Settings
from mri_model.steps.database import Patient, ensure_recorded, open_store

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.scoring.run import ScoringRun


def check_scoring(settings: Settings, folder: Path, csv: Path | None) -> None:
    """Check what can be checked before the work begins.

    Raises:
        MriError: If the folder is missing, the system's own files lie in it, or the CSV file would lie in it or is a
            folder.
    """
    from mri_model.scoring.listing import WANTED

    base = require_folder(folder, WANTED)
    check_outside(settings.root, base)
    if csv and csv.is_dir():
        raise MriError(f"cannot write {csv}: Is a directory", "give a file")
    if csv and csv.resolve().is_relative_to(base):
        raise MriError(f"{csv} is inside {folder} and would be read as one of its files", "choose another place")


def score_folder(
    settings: Settings,
    model_folder: Path,
    folder: Path,
    device: str,
    precision: Precision = "auto",
    risk: float | None = None,
    part: Participation = ANY,
    hash_paths: bool = False,
    progress: ProgressCallback = no_progress,
    log: Log = no_log,
) -> "ScoringRun":
    """Score every file below ``folder``; one that this model scored before, unchanged, keeps its row.

    Args:
        hash_paths: Put keyed hashes in place of the paths.

    Raises:
        SkippedError: If the folder is not as ``part`` says.
        MriError: If the folder is missing, gone meanwhile or empty, or the model's validation images cannot guarantee
            the risk.
    """
    from mri_model.models.artifact import load_model
    from mri_model.models.engine import with_engine
    from mri_model.models.network import choose_device
    from mri_model.models.threads import use_free_cores
    from mri_model.results.scoring_ledger import ScoringLedger
    from mri_model.scoring import run
    from mri_model.scoring.listing import Reading

    model = load_model(model_folder, choose_device(device))
    threads = use_free_cores()
    model = with_engine(model, precision)
    log(f"{threads}; {model.engine.name}" if model.engine else threads)
    with open_store(settings) as store:
        ensure_recorded(settings, store, model.folder)
        ledger = Patient(settings, ScoringLedger(store, model.id), log)
        names = Pseudonyms(settings.private)
        reading = Reading(names, settings.cache, HiddenPaths(settings.private, names) if hash_paths else None)
        return run.score_folder(ledger, model, folder, settings.scores, risk, progress, log, part, reading)


def write_scores_csv(scored: "ScoringRun", file: Path) -> None:
    """Write the rows of a scoring run as CSV."""
    from mri_model.scoring.parts import write_csv

    try:
        write_csv(scored.parquet, Path(os.path.realpath(file)))  # a link stays one, and /dev/stdout too
    except OSError as error:
        raise MriError(
            f"cannot write {file}: {error.strerror or error}",
            f"choose another file; the scores are in {scored.parquet}",
        ) from None
