"""watch-incoming: a look at MRI_INCOMING → score-mri for each folder that has arrived."""

from typing import Any

from prefect import flow
from prefect.states import Completed

from mri_model import api
from mri_model.options import DEFAULT_MODEL, Device
from mri_model.settings import load_settings
from tasks.deployments import start_scoring
from tasks.parameters import Workers, with_parameters
from tasks.retention import NOTHING_NEW, delete_old_looks
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="watch-incoming")
@plain_failures
@with_parameters()
def watch_incoming(model: str = DEFAULT_MODEL, device: Device = "auto", workers: Workers = 1) -> Any:
    """Look once at ``MRI_INCOMING``, and start ``score-mri`` for each folder that is new or changed and has settled."""
    delete_old_looks()
    settings = load_settings()
    if settings.incoming is None:
        return Completed(name=NOTHING_NEW, message="MRI_INCOMING is not set: no folder is watched.")
    parameters = {"model": model, "device": device, "workers": workers}
    look = api.watch(settings, lambda arrived: start_scoring(arrived, parameters), TaskRunner())
    return Completed(name="Completed" if look.arrived else NOTHING_NEW, message=str(look))
