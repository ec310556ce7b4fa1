"""Old flow runs of the looks are deleted: one each minute would be half a million in a year.

Prefect's own retention of flow runs (``PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=flow_runs``, off by default) deletes
those of all flows alike, also trainings.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client, get_run_logger
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.runtime import deployment

NOTHING_NEW = "Nothing new"
"""Name of the state of a look that started nothing."""

KEPT: tuple[tuple[dict[str, Any], timedelta], ...] = (
    ({"name": {"any_": [NOTHING_NEW, "Cancelled", "Skipped"]}}, timedelta(days=1)),
    ({"type": {"any_": list(TERMINAL_STATES)}}, timedelta(days=30)),
)
"""How long looks are kept: those that found nothing or were not made, and all others that have ended."""

AT_ONCE = 50
"""A look deletes no more than so many flow runs of each kind."""


def delete_old_looks() -> None:
    """Delete old flow runs of the deployment whose flow run calls this. An error is only logged."""
    if deployment.id is None:
        return
    try:
        for state, age in KEPT:
            delete_runs(deployment.id, state, datetime.now(UTC) - age)
    except Exception as error:
        get_run_logger().warning("cannot delete old flow runs: %s; the next look tries again", error)


def delete_runs(deployment_id: str, state: dict[str, Any], before: datetime) -> None:
    """Delete flow runs of a deployment in such a state that were to start before a time."""
    ids, time = {"any_": [deployment_id]}, {"before_": before}
    old = FlowRunFilter.model_validate({"deployment_id": ids, "state": state, "expected_start_time": time})
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=old, limit=AT_ONCE):
            client.delete_flow_run(run.id)
