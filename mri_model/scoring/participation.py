"""How a process takes part in a scoring run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def nothing(run_id: str, model_folder: Path) -> None:
    """Does nothing with a run that was opened."""


@dataclass(frozen=True)
class Participation:
    """Which run a process works on, and who is told.

    Attributes:
        listing: Digest that the folder's listing must still have; empty: any.
        run_id: The run to join, whatever has happened to the folder; empty: that of the folder as it is.
        opened: Called with the id of the run and the folder of its model before the work begins. It may be called
            again if the step is repeated.
    """

    listing: str = ""
    run_id: str = ""
    opened: Callable[[str, Path], None] = nothing


ANY = Participation()
"""Score a folder as it is."""
