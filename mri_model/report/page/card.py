"""The card of a model or of a cross-validation: what it is for, its limits, and how it was made."""

from collections.abc import Mapping
from typing import Any

from mri_model.models.metadata import ModelMetadata
from mri_model.report.page.contents import EvaluationReport, ModelReport, SweepReport

LIMITS = (
    "It knows no other answers than its classes. Scoring gives none about most pictures that are unlike its training "
    "images; an evaluation always does.",
    "The labels are those that the data came with. No physician has checked them here.",
    "Nothing is known about other scanners, sequences, ages or countries than those of the data.",
)
"""Limits of every model of this software."""

NO_PATIENTS = "The data has no patient identifiers: images of one patient may be in training and in test."
SOME_PATIENTS = "Not every image says who its patient is: images of one patient may be in training and in test."
NOT_KEPT_APART = "Patients were not kept apart: images of one patient may be in training and in test."

LICENCE = "unknown to this software. Check the source of the images before you share the model, pictures or results."


def limits(report: EvaluationReport) -> list[str]:
    """What to keep in mind of a model, the limit of its split among it."""
    first, *others = LIMITS
    if report.is_split_by_patient:
        return [first, *others]
    patients = report.quality.quality.patients if report.quality else None
    if not patients or not patients.n_certain:
        return [first, NO_PATIENTS, *others]
    return [first, NOT_KEPT_APART if patients.is_patient_level else SOME_PATIENTS, *others]


def card_facts(report: ModelReport) -> list[tuple[str, str]]:
    """Name and value of each fact of a model's card, without the recipe."""
    model, row = report.model, report.evaluation
    trained_here = model.manifest == row["dataset_digest"]
    facts = {
        "Model": model.id,
        **data_facts(model, report),
        "Tested on": "the test split of the same data set"
        if trained_here
        else f"data set {row['dataset_digest']}, split {row['split']}",
        **training_facts(model),
        "Training": f"{model.epochs} epochs, epoch {model.metrics.epoch} kept; {model.seconds:.0f} s on {model.device}",
        "Temperature": f"{model.temperature:.3f}; logits are divided by it before the softmax",
        "SHA-256 of the weights": model.sha256,
        "Trained at": model.created_at,
        **code_facts(model, report),
    }
    return list(facts.items())


def sweep_facts(report: SweepReport) -> list[tuple[str, str]]:
    """Name and value of each fact that the models of a cross-validation share."""
    models = report.models
    facts = {
        "Cross-validation": f"{report.sweep_id}, {len(models)} models, one for each fold",
        **data_facts(models[0], report),
        "Tested on": "each image once, by the model that was trained without its fold",
        **training_facts(models[0]),
        "Training": f"{sum(model.seconds for model in models):.0f} s in all, on {models[0].device}",
        **code_facts(models[0], report),
    }
    return list(facts.items())


def data_facts(model: ModelMetadata, report: EvaluationReport) -> dict[str, str]:
    return {
        "Network": f"{model.network}, {len(model.classes)} classes",
        "Trained on": f"data set {model.manifest}, profile {model.profile}, {model.protocol} split",
        "Images": f"{report.dataset.get('n_ok')} accepted, {report.dataset.get('n_rejected')} rejected or left out",
        "Licence of the data": LICENCE,
    }


def training_facts(model: ModelMetadata) -> dict[str, str]:
    return {
        "Initial weights": str(model.recipe["weights"]),
        "Preprocessing": listed(vars(model.preprocessing)),
        "Mirror images": "answers are averaged over an image and its mirror image" if model.tta_hflip else "not used",
    }


def code_facts(model: ModelMetadata, report: EvaluationReport) -> dict[str, str]:
    row = report.evaluation
    return {
        "Versions": ", ".join(f"{name} {version}" for name, version in model.versions.items()),
        "Commit of the code": model.git_commit or "not from a checkout",
        "Evaluation": f"{row['id']}, recorded {row['created_at']:%Y-%m-%d %H:%M} UTC",
    }


def listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def recipe_rows(model: ModelMetadata, without: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Name and value of each field of the recipe."""
    return [(name, str(value)) for name, value in sorted(model.recipe.items()) if name not in without]
