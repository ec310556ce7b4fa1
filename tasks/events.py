"""Events that Prefect's automations can react to."""

from prefect.events import emit_event

CHANGED = "mri.evaluation.changed"
"""A re-evaluation found something that is not as it was."""


DRIFTED = "mri.scoring.drifted"
"""The images of a scoring run differ from the validation images of its model by more than chance explains."""


def emit_drifted(run_id: str, model: str, reason: str) -> None:
    """Emit ``mri.scoring.drifted`` about a scoring run, with the statistics that differ."""
    related = [{"prefect.resource.id": f"mri.model.{model}", "prefect.resource.role": "model"}]
    emit_event(
        DRIFTED, resource={"prefect.resource.id": f"mri.scoring.{run_id}"}, related=related, payload={"reason": reason}
    )


def emit_changed(model: str, problems: list[str]) -> None:
    """Emit ``mri.evaluation.changed`` about a model, with the problems and their numbers."""
    emit_event(CHANGED, resource={"prefect.resource.id": f"mri.model.{model}"}, payload={"problems": problems})
