"""Flow runs that a flow starts: the scoring of an incoming folder, and helpers that share a scoring run."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from mri_model.errors import MriError

if TYPE_CHECKING:
    from mri_model.api.incoming import Arrived

SCORE = "score-mri/score-mri"

LOST = timedelta(minutes=10)
"""A flow run that is called Running for so long, while nobody works on its folder, has lost its process."""


def start_scoring(arrived: "Arrived", parameters: Mapping[str, Any]) -> str:
    """Start the scoring of an incoming folder, once for its key. Returns why it failed, or nothing."""
    own = {"folder": arrived.folder, "listing": arrived.listing}
    return why_failed(start({**parameters, **own}, arrived.key, Path(arrived.folder).name))


def start_helpers(n: int, run_id: str, parameters: Mapping[str, Any]) -> None:
    """Start flow runs that share a scoring run. One that cannot be started is only logged: the run ends without it."""
    for number in range(1, n + 1):
        try:
            start({**parameters, "join": run_id}, f"{flow_run.id}-{run_id}-{number}", f"{run_id}-helper-{number}")
        except Exception as error:
            get_run_logger().warning("cannot start helper %d: %s; scoring goes on without it", number, error)


def start(parameters: Mapping[str, Any], key: str, name: str) -> FlowRun:
    """A flow run of ``score-mri``: a new one, or that which was started with this key. It is not waited for."""
    try:
        run = run_deployment(
            SCORE, parameters=dict(parameters), timeout=0, flow_run_name=name, idempotency_key=key, as_subflow=False
        )
        return cast(FlowRun, run)  # it is called from a thread without an event loop
    except ObjectNotFound:
        raise MriError(f"there is no deployment {SCORE}", "run: mri up, or prefect deploy --all") from None


def why_failed(run: FlowRun) -> str:
    """Why a flow run will not score its folder; empty if it still may."""
    state = run.state
    if state is None:
        return ""
    if state.is_final():
        return f"flow run {run.name} ended as {state.name}{f': {state.message}' if state.message else ''}"
    if state.is_running() and datetime.now(UTC) - state.timestamp > LOST:
        return f"flow run {run.name} is called Running, but nobody works on the folder"
    return ""
