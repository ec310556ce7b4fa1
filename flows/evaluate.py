"""evaluate-mri: model + manifest → metrics in the results database."""

from prefect import flow

from mri_model import api
from mri_model.options import DEFAULT_MODEL, Device, Split
from mri_model.settings import load_settings
from tasks.parameters import with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="evaluate-mri")
@plain_failures
@with_parameters(manifest="evaluated_manifest")
def evaluate_mri(model: str = DEFAULT_MODEL, split: Split = "test", manifest: str = "", device: Device = "auto") -> str:
    """Evaluate a model per class and per contrast; returns the evaluation's id."""
    return api.evaluate(load_settings(), model, split, manifest, device, TaskRunner()).id
