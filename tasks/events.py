"""Events that Prefect's automations can react to."""

from prefect.events import emit_event

CHANGED = "mri.evaluation.changed"
"""A re-evaluation found something that is not as it was."""


def emit_changed(model: str, problems: list[str]) -> None:
    """Emit ``mri.evaluation.changed`` about a model, with the problems and their numbers."""
    emit_event(CHANGED, resource={"prefect.resource.id": f"mri.model.{model}"}, payload={"problems": problems})
