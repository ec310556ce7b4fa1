"""evaluate-mri: model + manifest → metrics in the results database."""

from prefect import flow

from mri_model import api
from mri_model.options import Device, Split
from mri_model.settings import load_settings
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="evaluate-mri")
@plain_failures
def evaluate_mri(model: str = "best", split: Split = "test", manifest: str = "", device: Device = "auto") -> str:
    """Evaluate a model per class and per contrast; returns the evaluation's id.

    Args:
        model: best (by validation, on the newest manifest), latest, a model id, or a model folder.
        split: Which images to evaluate on.
        manifest: Empty for the manifest the model was trained on.
    """
    return api.evaluate(load_settings(), model, split, manifest, device, TaskRunner()).id
