"""Accuracy, precision, recall and F1: overall, per class, per contrast and by similarity; the confusion matrix.

Undefined ratios (a class never predicted, or without images) count as 0, as in the report's Table 5.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from mri_model.data.labels import Label
from mri_model.data.patients import optional_column
from mri_model.evaluation.bootstrap import Resamples, class_interval, resample
from mri_model.evaluation.by_group import GroupMetrics, per_group
from mri_model.evaluation.calibration import calibration_error, risk_coverage_area
from mri_model.evaluation.units import Unit, unit_numbers, unit_of, units
from mri_model.files import run_id

NEAR_DUPLICATE, SIMILAR, UNLIKE = "near duplicate", "similar", "unlike"
"""How much an image resembles the training images: near duplicate of one, similar as of one source, or less."""

SIMILARITY_BINS = {"pixels": (0.75, 0.80, 0.85, 0.90, 0.95), "edges": (0.50, 0.60, 0.70, 0.80, 0.90)}
"""Lower ends of the bins of each similarity, but for the first one, which starts at -1."""


@dataclass(frozen=True)
class Averages:
    """Accuracy, and precision, recall and F1 as macro averages and weighted by class size; all in 0–1."""

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float


@dataclass(frozen=True)
class OverallMetrics(GroupMetrics, Averages):
    """The figures of a whole split; all but the counts lie in 0–1.

    Attributes:
        n: Number of images.
        near_duplicate_n: Images with a near duplicate in training; ``similar_n``: others that resemble a training image
            as images of one source do; ``unlike_n``: the rest. Their accuracies are None if there are none.
        duplicate_free_n: Images without a near duplicate or group member in training; the accuracy and macro-F1 of this
            subset are None if it is empty.
        tumor_accuracy, tumor_macro_f1: If only the tumor of the class counts; ``contrast_*`` likewise, None if classes
            have no contrast.
        accuracy_low, accuracy_high: Ends of the 95 % interval of the accuracy (see ``bootstrap.resample``);
            ``macro_f1_*`` likewise.
        top3_accuracy, top5_accuracy: Share of images whose class is among the three or five most probable ones.
        mean_average_precision: Mean of the classes' average precision (see ``per_class``).
        calibration_error: Of the answers' probabilities; ``uncalibrated_error``: of those before calibration (see
            ``calibration.calibration_error``).
        risk_coverage_area: See ``calibration.risk_coverage_area``; lower is better.
    """

    n: int
    near_duplicate_n: int
    near_duplicate_accuracy: float | None
    similar_n: int
    similar_accuracy: float | None
    unlike_n: int
    unlike_accuracy: float | None
    duplicate_free_n: int
    duplicate_free_accuracy: float | None
    duplicate_free_macro_f1: float | None
    tumor_accuracy: float | None
    tumor_macro_f1: float | None
    contrast_accuracy: float | None
    contrast_macro_f1: float | None
    accuracy_low: float
    accuracy_high: float
    macro_f1_low: float
    macro_f1_high: float
    top3_accuracy: float
    top5_accuracy: float
    mean_average_precision: float
    calibration_error: float
    uncalibrated_error: float
    risk_coverage_area: float


@dataclass(frozen=True)
class Predictions:
    """The images of a split and the model's predictions.

    Attributes:
        targets: True class indices, int64 of shape (n,).
        probabilities: Calibrated, of each class, float32 of shape (n, classes).
        uncalibrated: Probability of each answer before calibration, float32 of shape (n,).
        images: One row per image: ``path`` and ``sha256``, ``group`` (null where it has none), ``patient`` (null
            unless it is certain; the column may be absent), ``duplicate_free`` (whether it has neither a near duplicate
            nor another image of its group in training), ``resemblance`` (``NEAR_DUPLICATE``, ``SIMILAR`` or
            ``UNLIKE``), and for both similarities (``pixels``, ``edges``) that to the nearest training image
            (``pixels``), the class index of that image (``pixels_label``) and the similarity to the nearest training
            image of another class (``pixels_other``, NaN if there is none).
    """

    targets: np.ndarray
    probabilities: np.ndarray
    uncalibrated: np.ndarray
    images: pd.DataFrame

    @classmethod
    def of_logits(cls, logits: np.ndarray, temperature: float, targets: np.ndarray, images: pd.DataFrame) -> Self:
        """The predictions of logits, float of shape (n, classes), by a model of this temperature."""
        calibrated = softmax(logits.astype(np.float64) / temperature, axis=1).astype(np.float32)
        uncalibrated = softmax(logits.astype(np.float64), axis=1).max(axis=1).astype(np.float32)
        return cls(targets, calibrated, uncalibrated, images)

    @property
    def predicted(self) -> np.ndarray:
        """Class indices with the highest probability, int64 of shape (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the answer, float32 of shape (n,)."""
        return self.probabilities.max(axis=1)

    @property
    def rank(self) -> np.ndarray:
        """How many classes are at least as probable as the true one, it included: int64 of shape (n,), 1 if right."""
        own = self.probabilities[np.arange(len(self.targets)), self.targets]
        return np.where(self.predicted == self.targets, 1, (self.probabilities >= own[:, None]).sum(axis=1))

    @classmethod
    def concatenate(cls, parts: "list[Self]") -> Self:
        return cls(
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.uncalibrated for part in parts]),
            pd.concat([part.images for part in parts]),
        )


@dataclass(frozen=True)
class Evaluation:
    """A model's results on one split.

    Attributes:
        id: Name under which it is recorded.
        classes: One row per class of the model (see ``per_class``).
        contrasts: One row per contrast: contrast, n, accuracy, macro_f1.
        confusion: Non-zero cells: true_label, predicted_label, n.
        similarities: One row per bin of similarity (see ``per_similarity``).
        images: One row per image (see ``per_image``).
        model_id: Id of the model; None if the predictions of several are pooled.
        n_seen: Images of the split that were left out, because the model was trained on or chosen by them.
        seconds: Time the evaluation took.
    """

    id: str
    overall: OverallMetrics
    classes: pd.DataFrame
    contrasts: pd.DataFrame
    confusion: pd.DataFrame
    similarities: pd.DataFrame
    images: pd.DataFrame
    predictions: Predictions = field(repr=False)
    model_id: str | None = None
    n_seen: int = 0
    seconds: float = 0.0

    @property
    def unit(self) -> Unit:
        """What its intervals were drawn by, and what ``n_groups`` counts."""
        return unit_of(self.images)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Its rows by the name of the table of the results database that holds them.

        Patients are left out: they are in the manifest, see ``units.add_patients``.
        """
        return {
            "class_metric": self.classes,
            "contrast_metric": self.contrasts,
            "confusion": self.confusion,
            "similarity_metric": self.similarities,
            "evaluated_image": self.images.drop(columns="patient"),
        }


def evaluate_predictions(predictions: Predictions, labels: tuple[Label, ...]) -> Evaluation:
    """All metrics of some predictions; ``labels`` are the classes in the order of their indices."""
    targets, predicted = predictions.targets, predictions.predicted
    resamples = resample(targets, predicted, len(labels), units(predictions.images))
    classes = per_class(predictions, resamples, labels)
    return Evaluation(
        run_id("evaluation"),
        overall_metrics(predictions, resamples, classes, labels),
        classes,
        per_contrast(targets, predicted, classes),
        confusions(targets, predicted, labels),
        per_similarity(predictions),
        per_image(predictions, labels),
        predictions,
    )


def overall_metrics(
    predictions: Predictions, resamples: Resamples, classes: pd.DataFrame, labels: tuple[Label, ...]
) -> OverallMetrics:
    """The figures of a whole split."""
    targets, predicted, images = predictions.targets, predictions.predicted, predictions.images
    right, rank = targets == predicted, predictions.rank
    free = images["duplicate_free"].to_numpy(bool)
    subset = summarize(targets[free], predicted[free]) if free.any() else None
    tumor = summarize_part([label.tumor for label in labels], targets, predicted)
    contrast = summarize_part([label.contrast for label in labels], targets, predicted)
    return OverallMetrics(
        **vars(summarize(targets, predicted)),
        **vars(per_group(targets, predictions.probabilities, units(images), labels)),
        **by_resemblance(images["resemblance"].to_numpy(str), right),
        n=len(targets),
        duplicate_free_n=int(free.sum()),
        duplicate_free_accuracy=subset.accuracy if subset else None,
        duplicate_free_macro_f1=subset.macro_f1 if subset else None,
        tumor_accuracy=tumor.accuracy if tumor else None,
        tumor_macro_f1=tumor.macro_f1 if tumor else None,
        contrast_accuracy=contrast.accuracy if contrast else None,
        contrast_macro_f1=contrast.macro_f1 if contrast else None,
        **resamples.intervals(),
        top3_accuracy=float((rank <= 3).mean()),
        top5_accuracy=float((rank <= 5).mean()),
        mean_average_precision=float(classes["average_precision"].mean()),
        calibration_error=calibration_error(predictions.confidence, right),
        uncalibrated_error=calibration_error(predictions.uncalibrated, right),
        risk_coverage_area=risk_coverage_area(predictions.confidence, right),
    )


def by_resemblance(resemblance: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Number and accuracy of the images of each resemblance, under the names of ``OverallMetrics``."""
    found: dict[str, Any] = {}
    for kind in (NEAR_DUPLICATE, SIMILAR, UNLIKE):
        chosen = right[resemblance == kind]
        name = kind.replace(" ", "_")
        found |= {f"{name}_n": len(chosen), f"{name}_accuracy": float(chosen.mean()) if len(chosen) else None}
    return found


def per_similarity(predictions: Predictions) -> pd.DataFrame:
    """Metrics by similarity to the nearest training image, one row per bin that has images.

    Returns:
        ``similarity`` (``pixels`` or ``edges``), ``low`` and ``high`` (the bin holds similarities from ``low`` up to,
        but not including, ``high``; the last bin includes 1), ``n``, ``accuracy``, ``macro_f1``, ``nearest_accuracy``
        (of the class of the nearest training image: 1-nearest-neighbor), ``nearest_other`` (mean similarity to the
        nearest training image of another class).
    """
    targets, predicted, images = predictions.targets, predictions.predicted, predictions.images
    rows = []
    for name, ends in SIMILARITY_BINS.items():
        number = np.digitize(images[name].to_numpy(np.float64), np.array(ends, np.float32))
        for each in np.unique(number):
            chosen = number == each
            averages = summarize(targets[chosen], predicted[chosen])
            one_nearest = float((images.loc[chosen, f"{name}_label"] == targets[chosen]).mean())
            other = float(images.loc[chosen, f"{name}_other"].mean())
            low, high = (-1.0, *ends, 1.0)[each : each + 2]
            rows.append((name, low, high, chosen.sum(), averages.accuracy, averages.macro_f1, one_nearest, other))
    columns = ["similarity", "low", "high", "n", "accuracy", "macro_f1", "nearest_accuracy", "nearest_other"]
    return pd.DataFrame(rows, columns=columns)


def summarize(targets: np.ndarray, predicted: np.ndarray) -> Averages:
    """Averages over class indices, int (n,) each, n > 0.

    They run over the classes that have images here. scikit-learn's default would also count, as zero, a class that is
    only predicted: a part of a test set would then look worse the fewer classes it holds.
    """
    present = np.unique(targets)
    scores = {"accuracy": float((targets == predicted).mean())}
    for average in ("macro", "weighted"):
        found = precision_recall_fscore_support(targets, predicted, labels=present, average=average, zero_division=0)
        named = zip(("precision", "recall", "f1"), found[:3], strict=True)
        scores |= {f"{average}_{name}": float(value) for name, value in named}
    return Averages(**scores)


def summarize_part(names: list[str] | list[str | None], targets: np.ndarray, predicted: np.ndarray) -> Averages | None:
    """Averages if only one part of the class counts; ``names`` gives that part of each class. None if one has none."""
    if None in names:
        return None
    _, number = np.unique(np.array(names, dtype=str), return_inverse=True)
    return summarize(number[targets], number[predicted])


def per_class(predictions: Predictions, resamples: Resamples, labels: tuple[Label, ...]) -> pd.DataFrame:
    """One row per class, also of those without images here.

    Returns:
        ``position``, ``label``, ``tumor``, ``contrast``, ``precision``, ``recall``, ``f1``, ``support`` (number of
        images of the class), ``n_groups`` (how many groups they are of; patients if ``Evaluation.unit`` is that),
        ``f1_low`` and ``f1_high`` (95 % interval, see ``bootstrap.resample``; NaN where ``bootstrap.class_interval``
        gives none), ``average_precision`` (area under the precision-recall curve of its probability, as in
        scikit-learn; NaN for a class without images).
    """
    targets, probabilities = predictions.targets, predictions.probabilities
    classes = range(len(labels))
    scores = precision_recall_fscore_support(targets, predictions.predicted, labels=classes, zero_division=0)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)))
    unit = unit_numbers(units(predictions.images))
    of_class = np.unique(np.column_stack([targets, unit]), axis=0)[:, 0]
    table["n_groups"] = np.bincount(of_class, minlength=len(labels))
    table["f1_low"], table["f1_high"] = class_interval(resamples.f1, table["n_groups"].to_numpy())
    table["average_precision"] = [
        average_precision_score(targets == each, probabilities[:, each]) if (targets == each).any() else np.nan
        for each in classes
    ]
    table.insert(0, "position", classes)
    table.insert(1, "label", [label.name for label in labels])
    table.insert(2, "tumor", [label.tumor for label in labels])
    table.insert(3, "contrast", [label.contrast for label in labels])
    return table


def per_image(predictions: Predictions, labels: tuple[Label, ...]) -> pd.DataFrame:
    """One row per image: truth, answer and how much the image resembles the training images.

    Returns:
        ``path``, ``sha256``, ``group_number``, ``patient`` (null unless it is certain), ``true_label``,
        ``predicted_label``, ``probability`` (of the answer, calibrated), ``uncalibrated`` (the same before
        calibration), ``true_rank`` (1 if the answer is right), ``resemblance``, ``duplicate_free``, ``pixels`` and
        ``edges`` (similarity to the nearest training image).
    """
    names, images = np.array([label.name for label in labels], dtype=object), predictions.images
    columns = {
        "path": images["path"],
        "sha256": images["sha256"],
        "group_number": images["group"],
        "patient": optional_column(images, "patient"),
        "true_label": names[predictions.targets],
        "predicted_label": names[predictions.predicted],
        "probability": predictions.confidence,
        "uncalibrated": predictions.uncalibrated,
        "true_rank": predictions.rank,
    }
    same = ("resemblance", "duplicate_free", "pixels", "edges")
    return pd.DataFrame(columns | {name: images[name] for name in same}).reset_index(drop=True)


def per_contrast(targets: np.ndarray, predicted: np.ndarray, classes: pd.DataFrame) -> pd.DataFrame:
    """One row per contrast of the true class; no rows if classes have no contrast.

    ``macro_f1`` is the mean F1 of the contrast's classes that have images.
    """
    contrast = classes["contrast"].fillna("").to_numpy(str)[targets]
    present = classes[classes["support"] > 0]
    rows = []
    for name in sorted(set(contrast) - {""}):
        chosen = contrast == name
        accuracy = float((targets[chosen] == predicted[chosen]).mean())
        rows.append((name, int(chosen.sum()), accuracy, float(present.loc[present["contrast"] == name, "f1"].mean())))
    return pd.DataFrame(rows, columns=["contrast", "n", "accuracy", "macro_f1"])


def confusions(targets: np.ndarray, predicted: np.ndarray, labels: tuple[Label, ...]) -> pd.DataFrame:
    """Non-zero cells of the confusion matrix (see ``Evaluation``)."""
    names = np.array([label.name for label in labels])
    matrix = confusion_matrix(targets, predicted, labels=range(len(labels)))
    true, predicted_as = np.nonzero(matrix)
    return pd.DataFrame(
        {"true_label": names[true], "predicted_label": names[predicted_as], "n": matrix[true, predicted_as]}
    )
