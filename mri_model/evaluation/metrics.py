"""Accuracy, precision, recall and F1: over all, per class, per contrast, and who is taken for whom.

Undefined ratios (a class never predicted, or without images) count as 0, as in the report's Table 5.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mri_model.data.labels import Label


@dataclass(frozen=True)
class Evaluation:
    """A model's results on one split.

    ``overall``: n, accuracy, macro_* and weighted_* averages, duplicate_free_n, duplicate_free_accuracy,
    duplicate_free_macro_f1; tumor_* and contrast_*, accuracy and macro_f1 of that part of the class alone;
    accuracy_low … macro_f1_high, the 95 % intervals of ``bootstrap``.
    ``classes``: position, label, tumor, contrast, precision, recall, f1, support; one row a class of the model.
    ``contrasts``: contrast, n, accuracy, macro_f1. ``confusion``: true_label, predicted_label, n; non-zero cells only.
    """

    overall: dict[str, Any]
    classes: pd.DataFrame
    contrasts: pd.DataFrame
    confusion: pd.DataFrame
    answers: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row an image: target, predicted (class numbers), duplicate_free, group."""


def evaluate_predictions(
    targets: np.ndarray,
    predicted: np.ndarray,
    labels: tuple[Label, ...],
    duplicate_free: np.ndarray,
    groups: np.ndarray | None = None,
) -> Evaluation:
    """Compare class numbers, int (n,) each; ``duplicate_free`` is bool (n,), ``groups`` each one's group or null."""
    apart = summarise(targets[duplicate_free], predicted[duplicate_free]) if duplicate_free.any() else {}
    overall = {
        "n": len(targets),
        **summarise(targets, predicted),
        "duplicate_free_n": int(duplicate_free.sum()),
        "duplicate_free_accuracy": apart.get("accuracy"),
        "duplicate_free_macro_f1": apart.get("macro_f1"),
        **alone("tumor", [label.tumor for label in labels], targets, predicted),
        **alone("contrast", [label.contrast for label in labels], targets, predicted),
        **bootstrap(targets, predicted, groups),
    }
    classes = per_class(targets, predicted, labels)
    contrasts = per_contrast(targets, predicted, classes)
    return Evaluation(overall, classes, contrasts, confusions(targets, predicted, labels))


def summarise(targets: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy, and macro and weighted precision, recall and F1.

    Averages run over the classes that have images here. scikit-learn's default would also count, as zero, a class that
    is only predicted: a part of a test set would then look worse the fewer classes it holds.
    """
    present = np.unique(targets)
    averages = {"accuracy": float((targets == predicted).mean())}
    for average in ("macro", "weighted"):
        scores = precision_recall_fscore_support(targets, predicted, labels=present, average=average, zero_division=0)
        named = zip(("precision", "recall", "f1"), scores[:3], strict=True)
        averages |= {f"{average}_{name}": float(value) for name, value in named}
    return averages


def alone(part: str, names: list[Any], targets: np.ndarray, predicted: np.ndarray) -> dict[str, float | None]:
    """Accuracy and macro-F1 where only one part of the class counts; None where classes do not have it."""
    if None in names:
        return {f"{part}_accuracy": None, f"{part}_macro_f1": None}
    _, number = np.unique(np.array(names, dtype=str), return_inverse=True)
    averages = summarise(number[targets], number[predicted])
    return {f"{part}_accuracy": averages["accuracy"], f"{part}_macro_f1": averages["macro_f1"]}


def bootstrap(
    targets: np.ndarray, predicted: np.ndarray, groups: np.ndarray | None = None, resamples: int = 1000, seed: int = 0
) -> dict[str, float]:
    """95 % percentile intervals of accuracy and macro-F1 (Efron and Tibshirani, 1993, chapter 13).

    Class numbers are int (n,) each. Whole groups are drawn, with replacement, where ``groups`` (n,) is given (the
    cluster bootstrap; Field and Welsh, 2007, J. R. Stat. Soc. B 69, 369–390): images of one group are right or wrong
    together, and drawing them singly would make the interval too narrow. An image without a group stands for itself.
    """
    classes, numbers = np.unique(np.concatenate([targets, predicted]), return_inverse=True)
    true, answered = np.split(numbers, 2)
    unit = units(groups, len(targets))
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


def units(groups: np.ndarray | None, n: int) -> np.ndarray:
    """The number of the group that each of ``n`` images is drawn with."""
    if groups is None:
        return np.arange(n)
    names = [f"image {at}" if pd.isna(name) else f"group {name}" for at, name in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1]


def per_class(targets: np.ndarray, predicted: np.ndarray, labels: tuple[Label, ...]) -> pd.DataFrame:
    scores = precision_recall_fscore_support(targets, predicted, labels=range(len(labels)), zero_division=0)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)))
    table.insert(0, "position", range(len(labels)))
    table.insert(1, "label", [label.name for label in labels])
    table.insert(2, "tumor", [label.tumor for label in labels])
    table.insert(3, "contrast", [label.contrast for label in labels])
    return table


def per_contrast(targets: np.ndarray, predicted: np.ndarray, classes: pd.DataFrame) -> pd.DataFrame:
    """One row a contrast of the true class; no rows where classes carry no contrast.

    ``macro_f1`` is the mean F1 of the contrast's classes as they stand in ``classes``.
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
    names = np.array([label.name for label in labels])
    matrix = confusion_matrix(targets, predicted, labels=range(len(labels)))
    true, taken_for = np.nonzero(matrix)
    return pd.DataFrame({"true_label": names[true], "predicted_label": names[taken_for], "n": matrix[true, taken_for]})
