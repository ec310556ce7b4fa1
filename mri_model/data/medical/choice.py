"""Which slices of a volume become images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mri_model.data.preprocessing import BRIGHT_SHARE

if TYPE_CHECKING:
    import pandas as pd

Axis = Literal["axial", "coronal", "sagittal"]

LEFT_OUT = "slice left out"
"""How the reason begins why a slice that could be read does not become an image."""


@dataclass(frozen=True)
class SliceChoice:
    """How slices are chosen.

    Attributes:
        axis: Their plane. DICOM series of another plane are rejected; NIfTI volumes are cut along it.
        central: Share of the head's extent, around its middle, that slices are taken from, in 0-1.
        most: Largest number of slices of a volume: every n-th is taken.
    """

    axis: Axis = "axial"
    central: float = 0.6
    most: int = 20


AXIAL_SLICES = SliceChoice()


def is_left_out(reasons: "pd.Series[str]") -> "pd.Series[bool]":
    """Which of some rejection reasons say that a slice was left out by choice."""
    return reasons.astype(str).str.startswith(LEFT_OUT)


def choose(bright: Sequence[float], choice: SliceChoice) -> list[str | None]:
    """Why each slice of a volume is left out; None for those that become images: at least one, if there are any.

    The head extends from the first to the last slice of which more than ``BRIGHT_SHARE`` is brighter than ``BRIGHT``,
    as in ``preprocessing.head_box``; if there is none, over the whole volume.

    Args:
        bright: For each slice, in the order of their positions, the share of its pixels brighter than ``BRIGHT``.
    """
    n = len(bright)
    shown = np.flatnonzero(np.array(bright) > BRIGHT_SHARE)
    first, last = (int(shown[0]), int(shown[-1])) if len(shown) else (0, n - 1)
    place = (np.arange(n) + 0.5 - first) / (last - first + 1)
    central = np.flatnonzero(np.abs(place - 0.5) <= choice.central / 2)
    if not len(central):
        central = np.array([(first + last) // 2])
    step = -(-len(central) // choice.most)
    chosen = set(central[(len(central) - 1) % step // 2 :: step].tolist())
    outside = f"{LEFT_OUT}: outside the central {100 * choice.central:.4g} % of the head"
    between = f"{LEFT_OUT}: one of {step} is used"
    within = set(central.tolist())
    return [None if at in chosen else between if at in within else outside for at in range(n)]
