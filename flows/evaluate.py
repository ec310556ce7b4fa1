"""evaluate-mri: a model's metrics in the results database; by default the champion's, compared with the last ones."""

from pathlib import Path

from prefect import flow

from mri_model import api
from mri_model.errors import ChangedError
from mri_model.options import DEFAULT_MODEL, Device, Split
from mri_model.settings import load_settings
from tasks.events import emit_changed
from tasks.parameters import with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="evaluate-mri")
@plain_failures
@with_parameters(manifest="evaluated_manifest")
def evaluate_mri(
    model: str = DEFAULT_MODEL,
    split: Split = "test",
    manifest: str = "",
    arrived: Path | None = None,
    device: Device = "auto",
) -> str:
    """Evaluate a model; returns the evaluation's id.

    On its own test split it is a re-evaluation: answers that differ from the last one, changed test files and a real
    drop on arrived images end the run in the state ``Changed`` and emit ``mri.evaluation.changed``.
    """
    if split != "test" or manifest:
        return api.evaluate(load_settings(), model, split, manifest, device, TaskRunner()).id
    try:
        found = api.reevaluate(load_settings(), model, arrived, device, TaskRunner())
        if found.problems:
            raise ChangedError(str(found.evaluation.model_id), found.problems)
    except ChangedError as error:
        emit_changed(error.model_id, error.problems)
        raise
    return found.evaluation.id
