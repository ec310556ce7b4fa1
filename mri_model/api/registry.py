"""A model becomes the champion."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.evaluation import evaluate_folder
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.models.metadata import read_metadata
from mri_model.options import Device
from mri_model.settings import Settings

if TYPE_CHECKING:
    from mri_model.evaluation.comparison import Difference
    from mri_model.evaluation.gate import Promotion


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

    Args:
        force: Without the gate; the history says so.

    Raises:
        RefusedError: If the gate refuses the model.
    """
    require_one_process("promotion")
    run(steps.check_database, settings)
    candidate = run(steps.choose_model, settings, model)
    champion = None if force else run(steps.find_champion_folder, settings)
    if champion is None or champion.name == candidate.name:
        return run(steps.promote_model, settings, candidate, why or "no gate", force)
    difference = difference_from(settings, candidate, champion, device, run)
    run(steps.check_gate, candidate, champion, difference)
    promotion = run(steps.promote_model, settings, candidate, why or "passed the gate", False)
    return replace(promotion, difference=difference)


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
