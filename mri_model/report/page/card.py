"""The model card: what the model is for, its limits, and how it was made."""

from collections.abc import Mapping
from typing import Any

from mri_model.report.page.contents import ModelReport

LIMITS = (
    "It always answers with one of its classes, even for a picture that is no MRI image.",
    "The data has no patient identifiers: images of one patient may be in training and in test.",
    "The labels are the names of folders. No physician has checked them here.",
    "Nothing is known about other scanners, sequences, ages or countries than those of the data.",
)
"""Limits of every model of this software."""

LICENCE = "unknown to this software. Check the source of the images before you share the model, pictures or results."


def card_facts(report: ModelReport) -> list[tuple[str, str]]:
    """Name and value of each fact of the card, without the recipe."""
    model, row = report.model, report.evaluation
    trained_here = model.manifest == row["dataset_digest"]
    facts = {
        "Model": model.id,
        "Network": f"{model.network}, {len(model.classes)} classes",
        "Trained on": f"data set {model.manifest}, profile {model.profile}, {model.protocol} split",
        "Tested on": "the test split of the same data set"
        if trained_here
        else f"data set {row['dataset_digest']}, split {row['split']}",
        "Images": f"{report.dataset.get('n_ok')} accepted, {report.dataset.get('n_rejected')} rejected",
        "Licence of the data": LICENCE,
        "Initial weights": str(model.recipe["weights"]),
        "Training": f"{model.epochs} epochs, epoch {model.metrics.epoch} kept; {model.seconds:.0f} s on {model.device}",
        "Preprocessing": listed(vars(model.preprocessing)),
        "Temperature": f"{model.temperature:.3f}; logits are divided by it before the softmax",
        "Mirror images": "answers are averaged over an image and its mirror image" if model.tta_hflip else "not used",
        "SHA-256 of the weights": model.sha256,
        "Versions": ", ".join(f"{name} {version}" for name, version in model.versions.items()),
        "Commit of the code": model.git_commit or "not from a checkout",
        "Trained at": model.created_at,
        "Evaluation": f"{row['id']}, recorded {row['created_at']:%Y-%m-%d %H:%M} UTC",
    }
    return list(facts.items())


def listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def recipe_rows(report: ModelReport) -> list[tuple[str, str]]:
    """Name and value of each field of the recipe."""
    return [(name, str(value)) for name, value in sorted(report.model.recipe.items())]
