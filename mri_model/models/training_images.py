"""The images a model was trained on, as its folder carries them: an evaluation must know what the model has seen.

The file holds digests and small pictures of the images, but no file names. A model without it still scores, but is not
evaluated.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mri_model.data.agreement import EDGES, PIXELS, read_agreements, thresholds_of
from mri_model.data.fingerprints import Fingerprints, read_fingerprints
from mri_model.data.hog import HOG_LENGTH
from mri_model.data.manifest import Partition
from mri_model.data.pictures import distinct_pictures
from mri_model.data.similarity import mean_descriptor
from mri_model.errors import RefusedError
from mri_model.files import atomic

TRAINING_IMAGES_FILE = "training_images.npz"


@dataclass(frozen=True)
class TrainingImages:
    """The training and validation images of a model; arrays of shape (n, …) in the order of the manifest.

    Attributes:
        sha256: Digest of each file, str of shape (n,).
        labels: Class index of each image, int64 of shape (n,).
        is_train: Whether an image was trained on; the others are validation images. bool of shape (n,).
        fingerprints: Those of the images.
        mean: 64 times the mean descriptor of the whole manifest (``similarity.mean_descriptor``), int64 of shape
            (1296,).
        thresholds: Similarity of pixels and of edges from which two images of one tumor type count as one source,
            float64 of shape (2,); NaN if there is no such threshold.
    """

    sha256: NDArray[np.str_]
    labels: NDArray[np.int64]
    is_train: NDArray[np.bool_]
    fingerprints: Fingerprints
    mean: NDArray[np.int64]
    thresholds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sha256)

    @classmethod
    def of(cls, partition: Partition) -> Self:
        """The images of a partition. Raises MriError if a file of the manifest is missing or damaged."""
        manifest = partition.manifest
        frame = manifest.frame
        fingerprints = read_fingerprints(manifest.folder, len(frame))
        ok = np.flatnonzero(frame["status"] == "ok")
        pictures = distinct_pictures(frame.iloc[ok].reset_index(drop=True), fingerprints, ok)
        thresholds = thresholds_of(read_agreements(manifest.folder))
        chosen = np.flatnonzero(partition.split_of.isin(["train", "val"]))
        return cls(
            sha256=frame["sha256"].iloc[chosen].to_numpy(np.str_),
            labels=manifest.class_indices(frame["label"].iloc[chosen]),
            is_train=(partition.split_of.iloc[chosen] == "train").to_numpy(bool),
            fingerprints=fingerprints[chosen],
            mean=mean_descriptor(pictures.descriptors),
            thresholds=np.array([thresholds[each.name] for each in (PIXELS, EDGES)], np.float64),
        )


def write_training_images(folder: Path, model_id: str, images: TrainingImages) -> None:
    """Write ``training_images.npz``, about 3 KB an image."""
    arrays = {name: value for name, value in vars(images).items() if name != "fingerprints"}
    with atomic(folder / TRAINING_IMAGES_FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, model=np.array(model_id), **arrays, **vars(images.fingerprints))


def read_training_images(folder: Path, model_id: str) -> TrainingImages:
    """Read the training images of a model folder.

    Raises:
        RefusedError: If the file is missing, damaged or of another model: what the model has seen is then not known.
    """
    file = folder / TRAINING_IMAGES_FILE
    if not file.is_file():
        raise unusable(file, "is missing")
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        owner = str(arrays.pop("model"))
        fingerprints = Fingerprints(arrays.pop("thumbnails"), arrays.pop("descriptors"))
        images = TrainingImages(fingerprints=fingerprints, **arrays)
        if not is_consistent(images):
            raise ValueError("its arrays do not fit together")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise unusable(file, "is damaged") from None
    if owner != model_id:
        raise unusable(file, f"belongs to model {owner}")
    return images


def seen_digests(folder: Path, model_id: str) -> frozenset[str]:
    """Digests of the training and validation images; none if the file is missing, damaged or of another model."""
    file = folder / TRAINING_IMAGES_FILE
    if not file.is_file():  # a pipe is never waited for
        return frozenset()
    try:
        with np.load(file, allow_pickle=False) as stored:
            return frozenset(stored["sha256"].tolist()) if str(stored["model"]) == model_id else frozenset()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return frozenset()


def is_consistent(images: TrainingImages) -> bool:
    """Whether shapes and types are those of ``TrainingImages``."""
    n = len(images)
    expected = {
        "labels": (np.int64, (n,)),
        "is_train": (np.bool_, (n,)),
        "mean": (np.int64, (HOG_LENGTH,)),
        "thresholds": (np.float64, (2,)),
    }
    known, empty = images.fingerprints, Fingerprints.zeros(0)
    return (
        images.sha256.dtype.kind == "U"
        and all(
            (getattr(images, name).dtype, getattr(images, name).shape) == wanted for name, wanted in expected.items()
        )
        and all(
            (getattr(known, name).dtype, getattr(known, name).shape) == (array.dtype, (n, *array.shape[1:]))
            for name, array in vars(empty).items()
        )
    )


def unusable(file: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{file} {why}: without it nobody can say which images the model has seen",
        "restore it, or train the model again; scoring works without it",
    )
