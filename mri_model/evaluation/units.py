"""The unit of the statistics: what is drawn, exchanged and counted as one independent observation.

The patient, if every image has a certain one (``data.patients``); otherwise the group.
"""

from typing import Literal

import numpy as np
import pandas as pd

from mri_model.data.patients import certain_patients

Unit = Literal["group", "patient"]


def unit_of(*sets: pd.DataFrame) -> Unit:
    """The unit for sets of images that are evaluated or compared together.

    Args:
        sets: Rows of ``Predictions.images`` or ``metrics.per_image``. A set without the column ``patient``, as the
            results database holds them, has groups only.
    """
    filled = [images for images in sets if len(images)]
    known = all("patient" in images and bool(images["patient"].notna().all()) for images in filled)
    return "patient" if filled and known else "group"


def units(images: pd.DataFrame, unit: Unit | None = None) -> np.ndarray:
    """The unit of each image, object of shape (n,): a patient or the number of a group, null where it has neither.

    Args:
        images: As in ``unit_of``.
        unit: The unit; None: ``unit_of(images)``. Sets that are compared need the same one.
    """
    if (unit or unit_of(images)) == "patient":
        return images["patient"].to_numpy(object)
    return images["group" if "group" in images else "group_number"].to_numpy(object)


def unit_numbers(units: np.ndarray) -> np.ndarray:
    """The number of each image's unit, from 0; an image without one is a unit of its own. int of shape (n,)."""
    codes, names = pd.factorize(units)
    alone = codes < 0
    return np.where(alone, len(names) + np.cumsum(alone) - 1, codes)


def add_patients(images: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Recorded images with the column ``patient``, which is in the manifest and not in the results database.

    Args:
        images: Rows of the table ``evaluated_image``.
        rows: Those of the manifest they were evaluated on.
    """
    keys = ["path", "sha256"]
    known = rows[keys].assign(patient=certain_patients(rows))
    return images.merge(known, on=keys, how="left", validate="m:1")
