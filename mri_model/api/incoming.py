"""Incoming folders → scores, a look at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.runner import DIRECT, StepRunner
from mri_model.settings import Settings

if TYPE_CHECKING:
    from mri_model.results.incoming_ledger import Arrived, Look

Start = Callable[["Arrived"], str]
"""Asks for the scoring of a folder; returns why it failed, or nothing. May be called again with the same key."""


def watch(settings: Settings, start: Start, run: StepRunner = DIRECT) -> "Look":
    """Look at ``MRI_INCOMING`` once, and ask for the scoring of each folder that is new or changed and has settled.

    A folder has settled when its listing was the same in two looks, and neither it nor a file in it is younger than
    ``MRI_SETTLE_SECONDS``. Files and links directly in ``MRI_INCOMING`` are never scored.

    Raises:
        MriError: If ``MRI_INCOMING`` is not set, is missing, or holds ``MRI_HOME``.
    """
    look = run(steps.look_at_incoming, settings)
    for arrived in look.arrived:
        run(steps.record_attempt, settings, arrived, start(arrived))
    return look


def check_incoming(settings: Settings) -> str:
    """The last look at ``MRI_INCOMING``, in one line.

    Raises:
        MriError: There was none for ten minutes, or folders that should have been scored were not.
    """
    return steps.check_incoming(settings)
