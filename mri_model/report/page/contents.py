"""What a report page is made from: plain data that ``steps`` gathers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mri_model.evaluation.units import Unit, unit_of
from mri_model.models.metadata import EpochMetrics, ModelMetadata
from mri_model.quality.page import Section


@dataclass(frozen=True)
class Picture:
    """An image to show.

    Attributes:
        uri: A data URI.
        alt: What it shows, for screen readers.
        width, height: In CSS pixels.
    """

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Exhibit:
    """One image of the data set, in one or two pictures, with the lines of its caption."""

    title: str
    lines: tuple[str, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Exhibits:
    """Pictures of the data, for a page that may show them.

    Attributes:
        samples: One image of each kind.
        mistakes: The most probable wrong answers, with a Grad-CAM overlay each.
        missing: Images that cannot be shown, because their files are gone or have changed.
        overlay: What the overlays are, in words.
    """

    samples: tuple[Exhibit, ...] = ()
    mistakes: tuple[Exhibit, ...] = ()
    missing: tuple[str, ...] = ()
    overlay: str = ""


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """A test evaluation with its data. Columns are those of the results database.

    Attributes:
        evaluation: Row of the table ``evaluation``.
        classes, contrasts, similarities, confusion, images: Rows of ``class_metric``, ``contrast_metric``,
            ``similarity_metric``, ``confusion`` and ``evaluated_image``. No rows in ``images``: the evaluation was
            recorded before there were any. They have a column ``patient`` if the manifest is here.
        dataset: Row of ``dataset``: the data of the evaluation.
        dataset_classes: Rows of ``dataset_class``.
        quality: Quality report of the data; None if it is not here.
        exhibits: Pictures; None if the page shows none.
    """

    evaluation: Mapping[str, Any]
    classes: pd.DataFrame
    contrasts: pd.DataFrame
    similarities: pd.DataFrame
    confusion: pd.DataFrame
    images: pd.DataFrame
    dataset: Mapping[str, Any]
    dataset_classes: pd.DataFrame
    quality: Section | None = None
    exhibits: Exhibits | None = field(default=None, repr=False)

    @property
    def unit(self) -> Unit | None:
        """What the intervals were drawn by; None if that is not known, because the manifest is gone."""
        return unit_of(self.images) if "patient" in self.images else None

    @property
    def trained(self) -> tuple[ModelMetadata, ...]:
        """The models that were evaluated."""
        return ()

    @property
    def is_split_by_patient(self) -> bool:
        """Whether no patient is in two splits of the training, as far as is known from the data of the evaluation."""
        patients = self.quality.quality.patients if self.quality else None
        digest = self.evaluation["dataset_digest"]
        kept = all(model.protocol == "grouped" and model.manifest == digest for model in self.trained)
        return bool(patients and patients.is_patient_level and self.trained and kept)

    @property
    def is_generated(self) -> bool:
        """Whether the data was drawn by ``mri sample``, as far as its profile and file names say."""
        names = self.images["path"].str.rpartition("/")[2] if len(self.images) else pd.Series(dtype=str)
        return self.dataset.get("profile") == "phantom" or (
            len(names) > 0 and bool(names.str.contains("phantom").all())
        )


@dataclass(frozen=True, kw_only=True)
class ModelReport(EvaluationReport):
    """A model and its newest test evaluation.

    Attributes:
        model: What the model folder says.
        history: One row per epoch; empty if ``history.csv`` is missing.
        sizes: Rows of ``model``: those that differ in image size, or the model alone.
    """

    model: ModelMetadata
    history: list[EpochMetrics]
    sizes: pd.DataFrame

    @property
    def trained(self) -> tuple[ModelMetadata, ...]:
        return (self.model,)


@dataclass(frozen=True, kw_only=True)
class SweepReport(EvaluationReport):
    """A cross-validation: its models, and the evaluation of all their predictions together.

    Attributes:
        sweep_id: Id of the sweep.
        models: What the model folders say, in the order of the folds.
        folds: Rows of ``evaluation``: the newest one of each model on its own test images.
    """

    sweep_id: str
    models: tuple[ModelMetadata, ...]
    folds: pd.DataFrame

    @property
    def trained(self) -> tuple[ModelMetadata, ...]:
        return self.models
