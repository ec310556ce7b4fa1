"""Whether the images of a scoring run differ from the model's validation images.

A run's new images are compared, or a sample of them if they are many. A run that has too few waits until the small
runs of its model have enough together: then all of them are tested as one, so that many small folders are not passed
over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mri_model.data.decode import to_grey
from mri_model.data.fingerprints import describe
from mri_model.data.hog import HOG_LENGTH
from mri_model.data.same_source import sources_of
from mri_model.evaluation.drift import (
    MIN_IMAGES,
    MIN_SOURCES,
    Difference,
    Sample,
    Statistic,
    compare,
)
from mri_model.models.artifact import Model
from mri_model.models.reference import DriftState, Reference, grey_values
from mri_model.scoring.parts import FINGERPRINT

SAMPLE = 500
"""Of more images so many are compared: those with the smallest digests."""

INTERVALS = 20
"""A number is compared by the intervals that hold equal shares of the validation images."""

NUMBERS = ("probability", "distance", "brightness", "variation")


@dataclass(frozen=True)
class Drift:
    """What the test of a run found.

    Attributes:
        state: Holds for all runs that were tested together.
        n_images: Number of images, also those of the runs that were waiting.
        n_sources: Number of sources they come from.
        n_runs: Number of runs that were tested together, or that wait together.
        differences: One for each statistic; empty while waiting.
        waiting: The images, to be tested with those of the next run; None unless the state is ``waiting``.
    """

    state: DriftState
    n_images: int
    n_sources: int
    n_runs: int = 1
    differences: tuple[Difference, ...] = ()
    waiting: Mapping[str, Any] | None = None

    @property
    def reason(self) -> str:
        """The result in one line."""
        found = f"{self.n_images} images of {self.n_sources} sources"
        if self.n_runs > 1:
            found += f", of {self.n_runs} small runs together,"
        if self.state == "waiting":
            return f"{found} are too few: {MIN_IMAGES} of {MIN_SOURCES} are needed, and the next small runs add theirs"
        if self.state == "no":
            return f"{found} are like the validation images"
        named = ", ".join(f"{each.statistic} {each.distance:.2f} ({each.expected:.2f})" for each in self.differing)
        return f"{found} differ from the validation images: {named}"

    @property
    def differing(self) -> list[Difference]:
        """The statistics that differ, those that differ most beyond chance first."""
        return sorted((each for each in self.differences if each.differs), key=lambda d: d.expected - d.distance)

    def as_row(self) -> dict[str, Any]:
        """The columns of the run's row."""
        row = {"drift": self.state, "drift_reason": self.reason, "drift_images": self.n_images}
        return {**row, "drift_sources": self.n_sources, "drift_waiting": self.waiting}

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of its statistics."""
        return [asdict(each) for each in self.differences]


class DriftTest:
    """Compares images with a model's validation images.

    Args:
        model: One with a reference.
    """

    def __init__(self, model: Model, reference: Reference) -> None:
        self._model, self._reference = model, reference
        quantiles = np.linspace(0, 1, INTERVALS + 1)[1:-1]
        self._edges = {name: np.quantile(getattr(reference, name), quantiles) for name in NUMBERS}
        contrasts = [label.contrast or "" for label in model.labels]
        self._contrasts = np.unique(contrasts, return_inverse=True)[1]
        n_bins = {"label": len(model.labels), "contrast": int(self._contrasts.max()) + 1}
        self._statistics = [Statistic(name, n, False) for name, n in n_bins.items() if n > 1]
        self._statistics += [Statistic(name, INTERVALS, True) for name in numbers_of(model.metadata.protocol)]

    def check(self, own: Sample, waiting: Sequence[Mapping[str, Any]]) -> Drift:
        """Test the images of a run; if they are too few, together with those of the runs that wait.

        Args:
            own: At least one image.
            waiting: What ``Drift.waiting`` was for these runs.
        """
        joined = [own] if own.is_large_enough else [own, *map(Sample.from_json, waiting)]
        sample = Sample.joined(joined)
        size = (sample.n_images, sample.n_sources, len(joined))
        if not sample.is_large_enough:
            return Drift("waiting", *size, waiting=own.as_json())
        found = compare(sample, self._reference_sample(), self._statistics)
        return Drift("yes" if any(each.differs for each in found) else "no", *size, found)

    def sample(self, rows: pa.Table) -> Sample:
        """Scored images as they are compared.

        Args:
            rows: With the columns ``label``, ``probability``, ``distance`` and ``fingerprint``.
        """
        looks = unpack(rows[FINGERPRINT].to_pylist())
        sources = sources_of(looks.descriptors, self._reference.mean, self._reference.threshold.item())
        labels = np.array([self._model.classes.index(each) for each in rows["label"].to_pylist()], np.int64)
        numbers = {name: rows[name].to_numpy() for name in ("probability", "distance")}
        numbers |= {"brightness": looks.brightness, "variation": looks.variation}
        return self.described(sources, labels, numbers)

    def _reference_sample(self) -> Sample:
        numbers = {name: getattr(self._reference, name) for name in NUMBERS}
        return self.described(self._reference.source, self._reference.answer, numbers)

    def described(self, sources: np.ndarray, labels: np.ndarray, numbers: Mapping[str, np.ndarray]) -> Sample:
        """n images as they are compared.

        Args:
            sources: Number of each image's source, int of shape (n,).
            labels: Class index of each answer, int of shape (n,).
            numbers: Each of ``NUMBERS`` → its values, float of shape (n,).
        """
        values = {name: np.searchsorted(self._edges[name], numbers[name]) for name in NUMBERS}
        return Sample(sources, {"label": labels, "contrast": self._contrasts[labels], **values})


def numbers_of(protocol: str) -> tuple[str, ...]:
    """The numbers that can be compared with validation images.

    On the random split these have relatives among the training images: of images from new sources the model is always
    less sure, and they are always farther away.
    """
    return ("brightness", "variation") if protocol == "random" else NUMBERS


def is_compared(sha256: str, n_new: int) -> bool:
    """Whether a file of a run with about so many new files may belong to the sample: some more than ``SAMPLE`` may."""
    return int(sha256[:8], 16) * n_new < SAMPLE * 5 // 4 << 32


@dataclass(frozen=True)
class Looks:
    """How n images look.

    Attributes:
        brightness, variation: As in ``Reference``.
        descriptors: HOG descriptors, uint8 of shape (n, 1296).
    """

    brightness: np.ndarray
    variation: np.ndarray
    descriptors: np.ndarray


PACKED = np.dtype([("brightness", "<f4"), ("variation", "<f4"), ("descriptors", "u1", HOG_LENGTH)])


def pack(pixels: np.ndarray) -> bytes:
    """How a decoded image, uint8 BGR of shape (height, width, 3), looks, as bytes."""
    _, thumbnail, descriptor = describe(to_grey(pixels))
    (brightness,), (variation,) = grey_values(thumbnail[None])
    return np.array((brightness, variation, descriptor), PACKED).tobytes()


def unpack(packed: Sequence[bytes]) -> Looks:
    """What ``pack`` has written."""
    images = np.frombuffer(b"".join(packed), PACKED)
    return Looks(*(images[name] for name in PACKED.names or ()))
