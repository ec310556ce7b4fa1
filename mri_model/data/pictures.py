"""The distinct images of an inventory: comparing copies once saves time and keeps them from counting twice."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri_model.data.fingerprints import Fingerprints
from mri_model.data.thumbnails import THUMBNAIL_SIZE

Array = NDArray[Any]


@dataclass(frozen=True)
class Pictures:
    """The distinct combinations of fingerprint and label, numbered in order of first appearance.

    Attributes:
        of_row: Number of the picture of each accepted image.
        size: Number of images of each picture.
        label: Code of each picture's label.
        tumor: Code of each picture's tumor type.
        grey: Thumbnail of each picture, uint8 of shape (n, pixels).
        descriptors: HOG descriptor of each picture, uint8 of shape (n, length).
    """

    of_row: Array
    size: Array
    label: Array
    tumor: Array
    grey: NDArray[np.uint8]
    descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.size)


def distinct_pictures(rows: pd.DataFrame, fingerprints: Fingerprints, ok: Array) -> Pictures:
    """Collect the distinct pictures.

    Args:
        rows: The accepted images.
        fingerprints: Those of all files.
        ok: Position of each row in ``fingerprints``.
    """
    digests = [digest(fingerprints, position) for position in ok]
    of_row = rows.groupby([pd.factorize(np.array(digests, dtype=object))[0], rows["label"]], sort=False).ngroup()
    _, row, size = np.unique(of_row.to_numpy(), return_index=True, return_counts=True)
    label, tumor = (pd.factorize(rows[column])[0][row] for column in ("label", "tumor"))
    chosen = fingerprints if len(row) == len(fingerprints) else fingerprints[ok[row]]  # does not copy without need
    grey = chosen.thumbnails.reshape(len(row), THUMBNAIL_SIZE**2)
    return Pictures(of_row.to_numpy(), size, label, tumor, grey, chosen.descriptors)


def digest(fingerprints: Fingerprints, position: int) -> bytes:
    content = hashlib.sha256(fingerprints.thumbnails[position].tobytes())
    content.update(fingerprints.descriptors[position].tobytes())
    return content.digest()
