"""Which images of a manifest a model is evaluated on, and how much each of them resembles its training images.

What a model has seen is decided by the training images in its folder, not by the splits of another manifest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.data.fingerprints import Fingerprints, read_fingerprints
from mri_model.data.hog import MIRRORED
from mri_model.data.manifest import Manifest
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION, duplicate_free
from mri_model.data.nearest import Nearest, nearest
from mri_model.data.patients import certain_patients
from mri_model.data.pictures import Array
from mri_model.data.same_source import PIXEL_TURNS, TURNED_EDGES
from mri_model.data.similarity import HogVectors, PixelVectors, Turn, Vectors
from mri_model.errors import MriError, RefusedError, UsageError
from mri_model.evaluation.metrics import NEAR_DUPLICATE, SIMILAR, UNLIKE
from mri_model.models.artifact import Model
from mri_model.models.training_images import TrainingImages, read_training_images
from mri_model.progress import ProgressCallback, no_progress

ALL = "all"
"""The split of all accepted images: for a manifest of other images than those of the training."""

KNOWN_TO = {"train": ("train",), "val": ("train",)}
"""Splits that count as seen when one of these is evaluated; the model was also chosen by the validation split."""

SEEN_PICTURE = 0.98
"""Images of another manifest that correlate so much with a seen one count as the same picture. Copies of the report's
images do after shrinking to 100 pixels and more (97 % of them; at 64 pixels a quarter)."""


@dataclass(frozen=True)
class Selection:
    """The images that a model is evaluated on.

    Attributes:
        rows: Their rows of the manifest.
        targets: Their class indices in the model's class order, int64 of shape (n,).
        images: What is known of each image, see ``metrics.Predictions``.
        n_seen: Images of the split that were left out, because the model has seen them in training or validation.
    """

    rows: pd.DataFrame
    targets: np.ndarray
    images: pd.DataFrame
    n_seen: int


@dataclass(frozen=True)
class Resemblance:
    """The tested images compared with the images that a model has seen.

    Attributes:
        pixels, edges: The nearest training images by the two similarities.
        validated: The nearest validation images by pixels.
        thresholds: See ``TrainingImages``.
    """

    pixels: Nearest
    edges: Nearest
    validated: Nearest
    thresholds: Array

    @property
    def seen(self) -> Array:
        """Whether an image shows the same picture as one seen in training or validation, bool of shape (n,)."""
        return np.fmax(self.pixels.similarity, self.validated.similarity) >= SEEN_PICTURE

    @property
    def near_duplicate(self) -> Array:
        """Whether an image has a near duplicate, of any class, in training."""
        return self.pixels.similarity >= NEAR_DUPLICATE_CORRELATION

    @property
    def near_validated(self) -> Array:
        """Whether an image has a near duplicate, of any class, in validation."""
        return self.validated.similarity >= NEAR_DUPLICATE_CORRELATION

    @property
    def kind(self) -> Array:
        """``NEAR_DUPLICATE``, ``SIMILAR`` (from the thresholds on, of any class) or ``UNLIKE``."""
        pixels, edges = self.thresholds
        similar = (self.pixels.similarity >= pixels) | (self.edges.similarity >= edges)
        return np.select([self.near_duplicate, similar], [NEAR_DUPLICATE, SIMILAR], UNLIKE)


def select_images(
    model: Model, manifest: Manifest, split: str = "test", progress: ProgressCallback = no_progress
) -> Selection:
    """Choose the images of a split and compare them with the model's training images.

    On the manifest of the training, the split is evaluated as the protocol has it. On any other manifest, images that
    the model has seen (the same bytes, or the same picture) are left out. Images related to those that the model has
    seen are evaluated, but are not duplicate-free.

    Raises:
        RefusedError: If the model does not know a class of the manifest, if it is not known what the model has seen, or
            if it has seen all.
        UsageError: If all images of the manifest of the training are asked for.
        MriError: If the split has no images.
    """
    check_classes(model, manifest)
    known = read_training_images(model.folder, model.id)
    own = manifest.digest == model.metadata.manifest
    rows = rows_of(model, manifest, split)
    targets = model.class_indices(rows["label"])
    tumor = pd.factorize(np.array([label.tumor for label in model.labels], dtype=object))[0]
    fingerprints = read_fingerprints(manifest.folder, len(manifest.frame))[rows.index.to_numpy()]
    found = compare(fingerprints, targets, known, tumor, progress)
    if own:
        related = model.metadata.partition(manifest).split_of.isin(KNOWN_TO.get(split, ("train", "val"))).to_numpy(bool)
        fresh = np.ones(len(rows), bool)
    else:
        linked = related_images(fingerprints, targets, known, tumor)
        related = related_rows(manifest, rows, known, linked)
        fresh = ~(found.seen | rows["sha256"].isin(known.sha256).to_numpy(bool))
    if not fresh.any():
        raise all_seen(model, manifest, split, len(rows))
    near_duplicate = found.near_duplicate | (found.near_validated & (split not in KNOWN_TO))
    images = describe_images(manifest, rows, related, near_duplicate, found)
    return Selection(rows[fresh], targets[fresh], images[fresh], int((~fresh).sum()))


def rows_of(model: Model, manifest: Manifest, split: str) -> pd.DataFrame:
    """The rows of a split under the model's protocol and fold, or of all accepted images."""
    if split != ALL:
        rows = model.metadata.partition(manifest).rows(split)
    elif manifest.digest == model.metadata.manifest:
        raise UsageError(
            f"model {model.id} was trained on images of manifest {manifest.digest}",
            "evaluate on its test split; all is for manifests of other images",
        )
    else:
        rows = manifest.frame[manifest.frame["status"] == "ok"]
    if rows.empty:
        raise MriError(f"the {split} split has no images", "use train, val or test, or ingest more images")
    return rows


def compare(
    images: Fingerprints, targets: Array, known: TrainingImages, tumor: Array, progress: ProgressCallback
) -> Resemblance:
    """Compare images, of the classes ``targets``, with the images a model has seen.

    Args:
        tumor: Code of each class's tumor type.
        progress: Called with the stage ``compare``.
    """
    train, val = (known.fingerprints[chosen] for chosen in (known.is_train, ~known.is_train))
    trained_on, validated_on = known.labels[known.is_train], known.labels[~known.is_train]
    pixels, edges = pixel_vectors(images), HogVectors.of(images.descriptors, known.mean)
    progress("compare", 0, 3)
    by_pixels = nearest(pixels, targets, pixel_vectors(train), trained_on, tumor)
    progress("compare", 1, 3)
    by_edges = nearest(edges, targets, HogVectors.of(train.descriptors, known.mean), trained_on, tumor)
    progress("compare", 2, 3)
    validated = nearest(pixels, targets, pixel_vectors(val), validated_on, tumor)
    progress("compare", 3, 3)
    return Resemblance(by_pixels, by_edges, validated, known.thresholds)


def pixel_vectors(images: Fingerprints) -> PixelVectors:
    return PixelVectors.of(images.thumbnails.reshape(len(images), -1))


def related_images(images: Fingerprints, targets: Array, known: TrainingImages, tumor: Array) -> Array:
    """Which images are related to one that the model has seen, in training or validation: bool of shape (n,).

    They are near duplicates, or linked as the images of a group are: alike, mirrored or turned, and of one tumor type.
    """
    pixels, seen_pixels = pixel_vectors(images), pixel_vectors(known.fingerprints)
    edges, seen_edges = (HogVectors.of(each.descriptors, known.mean) for each in (images, known.fingerprints))
    by_pixels = nearest(pixels, targets, seen_pixels, known.labels, tumor)
    by_edges = nearest(edges, targets, seen_edges, known.labels, tumor)
    like_pixels, like_edges = known.thresholds
    found = by_pixels.similarity >= NEAR_DUPLICATE_CORRELATION
    found |= (by_pixels.same_tumor >= like_pixels) | (by_edges.same_tumor >= like_edges)
    turned: list[tuple[Vectors, Vectors, Sequence[Turn], float]] = [
        (pixels, seen_pixels, PIXEL_TURNS, max(like_pixels, NEAR_DUPLICATE_CORRELATION)),
        (edges, seen_edges, (MIRRORED,), max(like_edges, TURNED_EDGES)),
    ]
    for tested, seen, turns, threshold in turned:
        for turn in turns:
            found |= nearest(tested, targets, seen.turned(turn), known.labels, tumor).same_tumor >= threshold
    return found


def related_rows(manifest: Manifest, rows: pd.DataFrame, known: TrainingImages, linked: Array) -> Array:
    """Which rows of another manifest the model has seen, or are related to what it has seen: bool of shape (rows,).

    Args:
        linked: Which of the tested images, ``rows``, are related (``related_images``).
    """
    found = manifest.frame["sha256"].isin(known.sha256).to_numpy(bool, copy=True)
    found[rows.index] |= linked
    return found


def describe_images(
    manifest: Manifest, rows: pd.DataFrame, related: Array, near_duplicate: Array, found: Resemblance
) -> pd.DataFrame:
    """The columns of ``metrics.Predictions.images`` for each of ``rows``.

    Args:
        related: Which rows of the manifest the model has seen, or are related to what it has seen.
        near_duplicate: Which of ``rows`` are near duplicates of what it has seen.
    """
    of_rows = np.zeros(len(manifest.frame), bool)
    of_rows[rows.index] = near_duplicate
    free = duplicate_free(manifest.frame["group"], related, of_rows)
    is_free = free[rows.index]
    kind = np.where(~is_free & (found.kind == UNLIKE), SIMILAR, found.kind)  # turned copies, and further group members
    columns: dict[str, object] = {name: rows[name] for name in ("path", "sha256", "group")}
    columns |= {"patient": certain_patients(rows), "duplicate_free": is_free, "resemblance": kind}
    for name, each in (("pixels", found.pixels), ("edges", found.edges)):
        columns |= {name: each.similarity, f"{name}_label": each.label, f"{name}_other": each.other}
    return pd.DataFrame(columns, index=rows.index)


def all_seen(model: Model, manifest: Manifest, split: str, n: int) -> RefusedError:
    images = f"the {n} images of manifest {manifest.digest}" if split == ALL else f"the {n} {split} images"
    return RefusedError(
        f"model {model.id} has seen all of {images} in training or validation",
        "evaluate it on the manifest it was trained on (leave out --manifest), or on images that it has not seen",
    )


def check_classes(model: Model, manifest: Manifest) -> None:
    """Raises RefusedError if the model does not know a class of the manifest, or has them in another order.

    A manifest may lack classes of the model: few hospitals see all of them.
    """
    present = set(manifest.classes)
    if tuple(name for name in model.classes if name in present) == manifest.classes:
        return
    unknown = sorted(present - set(model.classes))
    why = f"the model does not know {', '.join(unknown[:5])}" if unknown else "their order differs"
    raise RefusedError(
        f"model {model.id} and manifest {manifest.digest} have different classes: {why}",
        "give the classes the names that the model knows (mri ingest --map OLD=NEW)",
    )
