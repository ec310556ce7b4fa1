"""A model becomes the champion."""

from pathlib import Path
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.evaluation import evaluate_folder
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.errors import MriError, UnavailableError
from mri_model.models.metadata import read_metadata
from mri_model.options import Device
from mri_model.settings import Settings

if TYPE_CHECKING:
    from mri_model.evaluation.comparison import Difference
    from mri_model.evaluation.gate import Promotion, Verdict


def promote(
    settings: Settings,
    model: str,
    why: str = "",
    force: bool = False,
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "Promotion":
    """Make a model the champion, which evaluation and scoring use, if it passes the gate (``evaluation/gate.py``).

    Candidate and champion are compared on the test images of the candidate's manifest; what is not evaluated yet is.
    The champion itself stays it, and nothing is recorded.

    Args:
        force: Promote it even if the gate objects; the history keeps the objections.

    Raises:
        RefusedError: If the gate objects.
    """
    from mri_model.evaluation.gate import Promotion

    require_one_process("promotion")
    run(steps.check_database, settings)
    candidate = run(steps.choose_model, settings, model)
    champion_id, candidate_id = run(steps.find_champion_id, settings), read_metadata(candidate).id
    if champion_id == candidate_id:
        return Promotion(candidate_id, None)
    verdict = judge(settings, candidate, champion_id, device, run)
    run(steps.pass_gate, candidate, verdict, force)
    return run(steps.promote_model, settings, candidate, why, verdict)


def judge(settings: Settings, candidate: Path, champion_id: str | None, device: Device, run: StepRunner) -> "Verdict":
    """What the gate has against a model; that it cannot be compared with the champion is an objection too."""
    from mri_model.evaluation.gate import Verdict

    against = run(steps.judge_fold, settings, candidate)
    if champion_id is None:
        return Verdict(against)
    try:
        champion = run(steps.choose_champion, settings).folder
        difference = difference_from(settings, candidate, champion, device, run)
    except UnavailableError:
        raise
    except MriError as error:
        return Verdict((*against, f"it cannot be compared with the champion {champion_id}: {error}"))
    return Verdict((*against, *run(steps.judge_difference, candidate, champion, difference)), difference)


def difference_from(
    settings: Settings, candidate: Path, champion: Path, device: Device, run: StepRunner
) -> "Difference | None":
    """Candidate minus champion; None if their classes differ."""
    if read_metadata(candidate).classes != read_metadata(champion).classes:
        return None
    manifest = run(steps.open_manifest, settings, read_metadata(candidate).manifest)
    for folder in (candidate, champion):
        if not run(steps.is_evaluated, settings, folder, manifest):
            evaluate_folder(settings, folder, manifest, "test", device, run)
    return run(steps.compare_with_champion, settings, candidate, champion, manifest)
