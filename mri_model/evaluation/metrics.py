"""Accuracy, precision, recall and F1: over all, per class, per contrast, and who is taken for whom.

Undefined ratios (a class never predicted, or without images) count as 0, as in the report's Table 5.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mri_model.labels import Label


@dataclass(frozen=True)
class Evaluation:
    """What a model does on one side of a split.

    ``overall``: n, accuracy, macro_* and weighted_* averages, twin_free_n, twin_free_accuracy, twin_free_macro_f1.
    ``classes``: position, label, tumor, contrast, precision, recall, f1, support; one row a class of the model.
    ``contrasts``: contrast, n, accuracy, macro_f1. ``confusion``: true_label, predicted_label, n; non-zero cells only.
    """

    overall: dict[str, Any]
    classes: pd.DataFrame
    contrasts: pd.DataFrame
    confusion: pd.DataFrame


def evaluate_predictions(
    targets: np.ndarray, predicted: np.ndarray, labels: tuple[Label, ...], twin_free: np.ndarray
) -> Evaluation:
    """Compare class numbers, int (n,) each; ``twin_free`` is bool (n,)."""
    apart = summarise(targets[twin_free], predicted[twin_free]) if twin_free.any() else {}
    overall = {
        "n": len(targets),
        **summarise(targets, predicted),
        "twin_free_n": int(twin_free.sum()),
        "twin_free_accuracy": apart.get("accuracy"),
        "twin_free_macro_f1": apart.get("macro_f1"),
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
