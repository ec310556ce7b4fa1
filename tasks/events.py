"""Events that Prefect's automations can react to."""

from prefect.events import emit_event

from mri_model.evaluation.reevaluation import Reevaluation

CHANGED = "mri.evaluation.changed"
"""A re-evaluation found something that is not as it was."""


def emit_changed(found: Reevaluation) -> None:
    """Emit ``mri.evaluation.changed`` about a model, with the problems and their numbers."""
    evaluation = found.evaluation
    payload = {"problems": found.problems, "evaluation": evaluation.id, "accuracy": evaluation.overall.accuracy}
    if found.drop:
        payload |= {"arrived": vars(found.drop)}
    emit_event(CHANGED, resource={"prefect.resource.id": f"mri.model.{evaluation.model_id}"}, payload=payload)
