"""Accuracy, precision, recall and F1: overall, per class, per contrast and by similarity; the confusion matrix.

Undefined ratios (a class never predicted, or without images) count as 0, as in the report's Table 5.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mri_model.data.labels import Label
from mri_model.evaluation.by_group import GroupMetrics, per_group, unit_numbers
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
        accuracy_low, accuracy_high: Ends of the 95 % interval of the accuracy (see ``bootstrap``); ``macro_f1_*``
            likewise.
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


@dataclass(frozen=True)
class Predictions:
    """The images of a split and the model's predictions.

    Attributes:
        targets: True class indices, int64 of shape (n,).
        probabilities: Of each class, float32 of shape (n, classes).
        images: One row per image: ``group`` (null where it has none), ``duplicate_free`` (whether it has neither a near
            duplicate nor another image of its group in training), ``resemblance`` (``NEAR_DUPLICATE``, ``SIMILAR`` or
            ``UNLIKE``), and for both similarities (``pixels``, ``edges``) that to the nearest training image
            (``pixels``), the class index of that image (``pixels_label``) and the similarity to the nearest training
            image of another class (``pixels_other``, NaN if there is none).
    """

    targets: np.ndarray
    probabilities: np.ndarray
    images: pd.DataFrame

    @property
    def predicted(self) -> np.ndarray:
        """Class indices with the highest probability, int64 of shape (n,)."""
        return self.probabilities.argmax(axis=1)

    @classmethod
    def concatenate(cls, parts: "list[Predictions]") -> "Predictions":
        return cls(
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
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
    predictions: Predictions = field(repr=False)
    model_id: str | None = None
    n_seen: int = 0
    seconds: float = 0.0


def evaluate_predictions(predictions: Predictions, labels: tuple[Label, ...]) -> Evaluation:
    """All metrics of some predictions; ``labels`` are the classes in the order of their indices."""
    targets, predicted = predictions.targets, predictions.predicted
    classes = per_class(targets, predicted, predictions.images["group"].to_numpy(object), labels)
    return Evaluation(
        run_id("evaluation"),
        overall_metrics(predictions, labels),
        classes,
        per_contrast(targets, predicted, classes),
        confusions(targets, predicted, labels),
        per_similarity(predictions),
        predictions,
    )


def overall_metrics(predictions: Predictions, labels: tuple[Label, ...]) -> OverallMetrics:
    """The figures of a whole split."""
    targets, predicted, images = predictions.targets, predictions.predicted, predictions.images
    free = images["duplicate_free"].to_numpy(bool)
    subset = summarize(targets[free], predicted[free]) if free.any() else None
    tumor = summarize_part([label.tumor for label in labels], targets, predicted)
    contrast = summarize_part([label.contrast for label in labels], targets, predicted)
    groups = images["group"].to_numpy(object)
    return OverallMetrics(
        **vars(summarize(targets, predicted)),
        **vars(per_group(targets, predictions.probabilities, groups, labels)),
        **by_resemblance(images["resemblance"].to_numpy(str), targets == predicted),
        n=len(targets),
        duplicate_free_n=int(free.sum()),
        duplicate_free_accuracy=subset.accuracy if subset else None,
        duplicate_free_macro_f1=subset.macro_f1 if subset else None,
        tumor_accuracy=tumor.accuracy if tumor else None,
        tumor_macro_f1=tumor.macro_f1 if tumor else None,
        contrast_accuracy=contrast.accuracy if contrast else None,
        contrast_macro_f1=contrast.macro_f1 if contrast else None,
        **bootstrap(targets, predicted, groups),
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


def bootstrap(
    targets: np.ndarray, predicted: np.ndarray, groups: np.ndarray | None = None, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """95 % percentile intervals of accuracy and macro-F1 (Efron and Tibshirani, 1993, chapter 13).

    Whole groups are drawn, with replacement, if ``groups`` is given (the cluster bootstrap; Field and Welsh, 2007,
    J. R. Stat. Soc. B 69, 369–390): images of one group are right or wrong together, and drawing single images would
    make the interval too narrow. An image without a group is a group of its own.

    Args:
        targets, predicted: Class indices, int of shape (n,).
        groups: Group of each image, of shape (n,), null where it has none.

    Returns:
        ``accuracy_low``, ``accuracy_high``, ``macro_f1_low``, ``macro_f1_high``.
    """
    classes, numbers = np.unique(np.concatenate([targets, predicted]), return_inverse=True)
    true, answered = np.split(numbers, 2)
    unit = np.arange(len(targets)) if groups is None else unit_numbers(groups)
    draws = np.random.default_rng(seed).multinomial(
        unit.max() + 1, np.full(unit.max() + 1, 1 / (unit.max() + 1)), resamples
    )
    weights = draws[:, unit].astype(np.float64)  # how often each image is in each resample
    one_hot = np.eye(len(classes))
    supports, answers = weights @ one_hot[true], weights @ one_hot[answered]
    hits = weights @ (one_hot[true] * (true == answered)[:, None])
    f1 = np.divide(2 * hits, supports + answers, out=np.zeros_like(hits), where=supports + answers > 0)
    present = supports > 0
    scores = {
        "accuracy": hits.sum(1) / weights.sum(1),
        "macro_f1": (f1 * present).sum(1) / present.sum(1),
    }
    ends = {"low": 2.5, "high": 97.5}
    return {
        f"{name}_{end}": float(np.percentile(values, percent))
        for name, values in scores.items()
        for end, percent in ends.items()
    }


def per_class(
    targets: np.ndarray, predicted: np.ndarray, groups: np.ndarray, labels: tuple[Label, ...]
) -> pd.DataFrame:
    """One row per class, also of those without images here.

    Args:
        targets, predicted: Class indices, int of shape (n,).
        groups: Group of each image, of shape (n,), null where it has none: it is then a group of its own.
        labels: The classes in the order of their indices.

    Returns:
        ``position``, ``label``, ``tumor``, ``contrast``, ``precision``, ``recall``, ``f1``, ``support`` (number of
        images of the class) and ``n_groups`` (how many groups they are of).
    """
    scores = precision_recall_fscore_support(targets, predicted, labels=range(len(labels)), zero_division=0)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)))
    of_class = np.unique(np.column_stack([targets, unit_numbers(groups)]), axis=0)[:, 0]
    table["n_groups"] = np.bincount(of_class, minlength=len(labels))
    table.insert(0, "position", range(len(labels)))
    table.insert(1, "label", [label.name for label in labels])
    table.insert(2, "tumor", [label.tumor for label in labels])
    table.insert(3, "contrast", [label.contrast for label in labels])
    return table


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
