"""train-mri: manifest + recipe → trained model."""

from typing import Any

from prefect import flow

from mri_model import api
from mri_model.options import Device, RecipeName
from mri_model.settings import load_settings
from mri_model.training.recipe import OPTIONS
from tasks.parameters import Folds, Seeds, with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="train-mri")
@plain_failures
@with_parameters(OPTIONS)
def train_mri(
    manifest: str = "latest",
    recipe: RecipeName = "modern",
    seeds: Seeds = 1,
    folds: Folds = 0,
    device: Device = "auto",
    **changes: Any,
) -> list[str]:
    """Train ResNet-18 by a recipe; parameters left empty are as the recipe has them. Returns the ids of the models."""
    settings = load_settings()
    chosen = api.make_recipe(settings, recipe, **changes)
    trained = api.train(settings, chosen, manifest, seeds, folds, device, TaskRunner())
    return [model.id for model in trained.models]
