"""The command ``mri watch``: incoming folders scored without Prefect."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mri_model import options as choices
from mri_model.cli.options import Device, Json, ModelName
from mri_model.cli.output import print_message, print_result, stage_runner
from mri_model.errors import MriError, UsageError

if TYPE_CHECKING:
    from mri_model.api import StepRunner
    from mri_model.api.incoming import Arrived, Look
    from mri_model.settings import Settings

LOOK_SECONDS = 60.0


def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once. A folder is scored in its second look.")] = False,
    model: ModelName = choices.DEFAULT_MODEL,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score each folder in MRI_INCOMING when it has arrived; look again each minute. Ctrl-C ends it.

    Under Prefect the deployment watch-incoming does the same; both may run at once.
    """
    from mri_model.settings import load_settings

    settings = load_settings()
    if once:
        look, outcomes = look_once(settings, model, device, as_json)
        facts = {"folders": sum(look.states.values()), "states": dict(look.states), "loose": look.n_loose}
        facts["due"] = [asdict(each) for each in outcomes]
        problems = [each.folder for each in outcomes if each.problem]
        if not (as_json and problems):  # then the error is the one object, with the facts in it
            print_result(as_json, facts, str(look))
        if problems:
            raise MriError(f"not scored: {', '.join(problems)}", "see: mri query incoming", facts)
        return
    if as_json:
        raise UsageError("--json prints one object, and mri watch does not end", "give --once too")
    keep_looking(settings, model, device)


def keep_looking(settings: "Settings", model: str, device: choices.Device) -> None:
    """Look each minute, and say what is new. A share or a database that is away does not end it."""

    said = ""
    while True:
        try:
            line = str(look_once(settings, model, device, quiet=False)[0])
        except MriError as error:
            if settings.incoming is None:
                raise
            line = f"{error}; {error.hint}"
        if line != said:
            print_message(line)
        said = line
        time.sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class Outcome:
    """What became of a folder that was due.

    Attributes:
        run: The scoring run's id; None if there was none, as all that follows.
        problem: Why the scoring failed; empty if it did not.
        drift: Whether its images differ from the validation images, and why; None if nothing was compared.
    """

    folder: str
    run: str | None = None
    problem: str = ""
    n_scored: int | None = None
    n_abstained: int | None = None
    n_rejected: int | None = None
    drift: str | None = None
    drift_reason: str | None = None


def look_once(settings: "Settings", model: str, device: choices.Device, quiet: bool) -> tuple["Look", list[Outcome]]:
    """Look at the folders, and score those that are due one after the other; returns what became of each too."""
    from mri_model import api

    outcomes: list[Outcome] = []

    def start(arrived: "Arrived") -> str:
        outcomes.append(score(settings, arrived, model, device, quiet, run))
        return outcomes[-1].problem

    with stage_runner(quiet) as run:
        return api.watch(settings, start, run), outcomes


def score(
    settings: "Settings", arrived: "Arrived", model: str, device: choices.Device, quiet: bool, run: "StepRunner"
) -> Outcome:
    """Score an incoming folder."""
    from mri_model import api
    from mri_model.report.text import count_line, drift_lines
    from mri_model.scoring.participation import Participation

    try:
        part = Participation(listing=arrived.listing)
        scored = api.score(settings, Path(arrived.folder), model, device, run=run, part=part)
    except MriError as error:
        return Outcome(arrived.folder, problem=f"{error}; {error.hint}" if error.hint else str(error))
    print_message(count_line(scored.counts, n_left_out=scored.reasons.n_left_out), quiet)
    for line in drift_lines(*scored.drift, scored.model_id) if scored.drift else []:
        print_message(line, quiet)
    n, (drift, reason) = scored.counts, scored.drift or (None, None)
    return Outcome(arrived.folder, scored.run_id, "", n.n_scored, n.n_abstained, n.n_rejected, drift, reason)
