"""The images that a model was trained on and chosen by, carried in its folder: they are never evaluated as unseen."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri_model.data.agreement import EDGES, PIXELS, read_agreements
from mri_model.data.fingerprints import Fingerprints, read_fingerprints
from mri_model.data.manifest import Partition
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION
from mri_model.data.similarity import HogVectors, PixelVectors, Vectors, cross_pairs, mean_descriptor
from mri_model.errors import MriError
from mri_model.files import atomic

FILE = "training_images.npz"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingImages:
    """The images of the training and the validation split. File names are not kept: they may hold names of patients.

    Attributes:
        sha256: Of each file, str of shape (n,).
        pixel_crc32: Equal if the grey pixels are equal, str of shape (n,).
        tumor: Tumor type of each image, str of shape (n,).
        trained: Whether the image is of the training split, bool of shape (n,).
        fingerprints: Of each image.
        mean: 64 times the mean descriptor of the training data set, int64 of shape (1296,).
        thresholds: Similarities of pixels and of edges from which two images of one tumor type come from one source;
            infinite where no similarity is high enough. float64 of shape (2,).
    """

    sha256: NDArray[np.str_]
    pixel_crc32: NDArray[np.str_]
    tumor: NDArray[np.str_]
    trained: Mask
    fingerprints: Fingerprints
    mean: NDArray[np.int64]
    thresholds: NDArray[np.float64]

    @classmethod
    def of(cls, partition: Partition) -> Self:
        """Raises MriError if the manifest's fingerprints or agreement curves are missing."""
        manifest = partition.manifest
        fingerprints = read_fingerprints(manifest.folder, len(manifest.frame))
        thresholds = {each.similarity: each.threshold for each in read_agreements(manifest.folder)}
        chosen = partition.split_of.isin(["train", "val"]).to_numpy(bool)
        rows = manifest.frame[chosen]
        accepted = np.flatnonzero(manifest.frame["status"] == "ok")
        return cls(
            sha256=rows["sha256"].to_numpy(str),
            pixel_crc32=rows["pixel_crc32"].to_numpy(str),
            tumor=rows["tumor"].to_numpy(str),
            trained=(partition.split_of[chosen] == "train").to_numpy(bool),
            fingerprints=fingerprints[np.flatnonzero(chosen)],
            mean=mean_descriptor(fingerprints.descriptors[accepted]),
            thresholds=np.array([thresholds[each.name] or np.inf for each in (PIXELS, EDGES)]),
        )

    def seen(self, rows: pd.DataFrame, fingerprints: Fingerprints) -> Mask:
        """Which images were trained on or chosen by: the same bytes or the same pixels, bool of shape (rows,).

        Args:
            rows: Rows of any manifest.
            fingerprints: Of these rows.
        """
        own = set(zip(self.pixel_crc32, thumbnail_bytes(self.fingerprints), strict=True))
        same_pixels = [key in own for key in zip(rows["pixel_crc32"], thumbnail_bytes(fingerprints), strict=True)]
        return rows["sha256"].isin(self.sha256).to_numpy(bool) | np.array(same_pixels, bool)

    def related(self, rows: pd.DataFrame, fingerprints: Fingerprints) -> Mask:
        """Which images have a near duplicate, or an image of the same source, in the training split.

        Near duplicates are those of any tumor type. Arguments and result are as for ``seen``.
        """
        n, trained = len(rows), np.flatnonzero(self.trained)
        both = fingerprints.joined(self.fingerprints[trained])
        tumor = np.concatenate([rows["tumor"].to_numpy(str), self.tumor[trained]])
        pixels = PixelVectors.of(both.thumbnails.reshape(len(both), -1))
        edges = HogVectors.of(both.descriptors, self.mean)
        found = np.zeros(n, dtype=bool)
        kinds: list[tuple[Vectors, float, float]] = [
            (pixels, NEAR_DUPLICATE_CORRELATION, self.thresholds[0]),
            (edges, np.inf, self.thresholds[1]),
        ]
        for vectors, of_any_tumor, of_one_tumor in kinds:
            lowest = min(of_any_tumor, of_one_tumor)
            for first, second, similarity in cross_pairs(vectors, lowest, np.arange(n), np.arange(n, len(both))):
                one_source = (similarity >= of_one_tumor) & (tumor[first] == tumor[second])
                found[first[one_source | (similarity >= of_any_tumor)]] = True
        return found


def thumbnail_bytes(fingerprints: Fingerprints) -> list[bytes]:
    return [thumbnail.tobytes() for thumbnail in fingerprints.thumbnails]


def write_training_images(folder: Path, images: TrainingImages) -> None:
    """Write ``training_images.npz`` to a model folder."""
    arrays = {**vars(images), **vars(images.fingerprints)}
    del arrays["fingerprints"]
    with atomic(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_training_images(folder: Path) -> TrainingImages:
    """Raises MriError if the file is missing or damaged."""
    file = folder / FILE
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays: dict[str, Any] = dict(stored)
        fingerprints = Fingerprints(arrays.pop("thumbnails"), arrays.pop("descriptors"))
        return TrainingImages(**arrays, fingerprints=fingerprints)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise MriError(
            f"{file} is missing or damaged: nothing says which images the model was trained on",
            "restore the file, or train again",
        ) from None
