"""The command ``mri watch``: incoming folders scored without Prefect."""

import time
from dataclasses import asdict
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
        look = look_once(settings, model, device, as_json)
        facts = {"folders": sum(look.states.values()), "states": dict(look.states), "loose": look.n_loose}
        print_result(as_json, {**facts, "due": [asdict(each) for each in look.arrived]}, str(look))
        return
    if as_json:
        raise UsageError("--json prints one object, and mri watch does not end", "give --once too")
    keep_looking(settings, model, device)


def keep_looking(settings: "Settings", model: str, device: choices.Device) -> None:
    """Look each minute, and say what is new. A share or a database that is away does not end it."""

    said = ""
    while True:
        try:
            line = str(look_once(settings, model, device, quiet=False))
        except MriError as error:
            if settings.incoming is None:
                raise
            line = f"{error}; {error.hint}"
        if line != said:
            print_message(line)
        said = line
        time.sleep(LOOK_SECONDS)


def look_once(settings: "Settings", model: str, device: choices.Device, quiet: bool) -> "Look":
    """Look at the folders, and score those that are due one after the other."""
    from mri_model import api

    with stage_runner(quiet) as run:
        return api.watch(settings, lambda arrived: score(settings, arrived, model, device, run), run)


def score(settings: "Settings", arrived: "Arrived", model: str, device: choices.Device, run: "StepRunner") -> str:
    """Score an incoming folder; returns why that failed, or nothing."""
    from mri_model import api
    from mri_model.scoring.participation import Participation

    try:
        part = Participation(listing=arrived.listing)
        api.score(settings, Path(arrived.folder), model, device, run=run, part=part)
    except MriError as error:
        return f"{error}; {error.hint}" if error.hint else str(error)
    return ""
