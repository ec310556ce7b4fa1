"""Accuracy, precision, recall and F1: overall, per class and per contrast, and the confusion matrix.

Undefined ratios (a class never predicted, or without images) count as 0, as in the report's Table 5.
"""

from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mri_model.data.labels import Label
from mri_model.files import run_id


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
class OverallMetrics(Averages):
    """The figures of a whole split; all but the counts lie in 0–1.

    Attributes:
        n: Number of images.
        duplicate_free_n: Images without a near duplicate or an image of their source in training; the accuracy and
            macro-F1 of this subset are None if it is empty.
        tumor_accuracy, tumor_macro_f1: If only the tumor of the class counts; ``contrast_*`` likewise, None if classes
            have no contrast.
        accuracy_low, accuracy_high: Ends of the 95 % interval of the accuracy (see ``bootstrap``); ``macro_f1_*``
            likewise.
    """

    n: int
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
    """The images of a split and the model's predictions; all arrays have shape (n,).

    Attributes:
        targets: True class indices, int64.
        predicted: Predicted class indices, int64.
        duplicate_free: Whether no near duplicate and no image of the same source was trained on, bool.
        groups: Group of each image, null where it has none.
    """

    targets: np.ndarray
    predicted: np.ndarray
    duplicate_free: np.ndarray
    groups: np.ndarray

    @classmethod
    def concatenate(cls, parts: "list[Predictions]") -> "Predictions":
        columns = ([getattr(part, each.name) for part in parts] for each in fields(cls))
        return cls(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class Evaluation:
    """A model's results on one split.

    Attributes:
        id: Name under which it is recorded.
        classes: One row per class of the model: position, label, tumor, contrast, precision, recall, f1, support.
        contrasts: One row per contrast: contrast, n, accuracy, macro_f1.
        confusion: Non-zero cells: true_label, predicted_label, n.
        model_id: Id of the model; None if the predictions of several are pooled.
        n_seen: Images of the split that were left out, because the model was trained on or chosen by them.
        seconds: Time the evaluation took.
    """

    id: str
    overall: OverallMetrics
    classes: pd.DataFrame
    contrasts: pd.DataFrame
    confusion: pd.DataFrame
    predictions: Predictions = field(repr=False)
    model_id: str | None = None
    n_seen: int = 0
    seconds: float = 0.0


def evaluate_predictions(predictions: Predictions, labels: tuple[Label, ...]) -> Evaluation:
    """All metrics of some predictions; ``labels`` are the classes in the order of their indices."""
    targets, predicted, free = predictions.targets, predictions.predicted, predictions.duplicate_free
    subset = summarize(targets[free], predicted[free]) if free.any() else None
    tumor = summarize_part([label.tumor for label in labels], targets, predicted)
    contrast = summarize_part([label.contrast for label in labels], targets, predicted)
    overall = OverallMetrics(
        **vars(summarize(targets, predicted)),
        n=len(targets),
        duplicate_free_n=int(free.sum()),
        duplicate_free_accuracy=subset.accuracy if subset else None,
        duplicate_free_macro_f1=subset.macro_f1 if subset else None,
        tumor_accuracy=tumor.accuracy if tumor else None,
        tumor_macro_f1=tumor.macro_f1 if tumor else None,
        contrast_accuracy=contrast.accuracy if contrast else None,
        contrast_macro_f1=contrast.macro_f1 if contrast else None,
        **bootstrap(targets, predicted, predictions.groups),
    )
    classes = per_class(targets, predicted, labels)
    contrasts = per_contrast(targets, predicted, classes)
    confusion = confusions(targets, predicted, labels)
    return Evaluation(run_id("evaluation"), overall, classes, contrasts, confusion, predictions)


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
) -> dict[str, float]:
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
    unit = resampling_units(groups, len(targets))
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


def resampling_units(groups: np.ndarray | None, n: int) -> np.ndarray:
    """The number of the unit that each of ``n`` images is drawn with: its group, or itself."""
    if groups is None:
        return np.arange(n)
    names = [f"image {at}" if pd.isna(name) else f"group {name}" for at, name in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1]


def per_class(targets: np.ndarray, predicted: np.ndarray, labels: tuple[Label, ...]) -> pd.DataFrame:
    """One row per class (see ``Evaluation``)."""
    scores = precision_recall_fscore_support(targets, predicted, labels=range(len(labels)), zero_division=0)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)))
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
