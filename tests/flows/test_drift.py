"""What a Prefect server is told about drift."""

from pathlib import Path
from typing import Any

import cv2
import pytest

from mri_model.data.phantom import write_phantom
from mri_model.local_prefect import server
from tests.flows.conftest import await_that, call, start, state_of
from tests.scoring.test_drift import decoded

pytestmark = pytest.mark.server


@pytest.fixture
def brighter(tmp_path: Path) -> Path:
    """88 images that no training has seen, in one flat folder, brighter than those of the training."""
    classes, folder = tmp_path / "classes", tmp_path / "brighter"
    write_phantom(classes, per_class=2, seed=99, max_side=96)
    folder.mkdir()
    for number, file in enumerate(sorted(classes.rglob("*"))):
        if (pixels := decoded(file)) is not None:
            cv2.imwrite(str(folder / f"{number:03}.png"), 255 - (255 - pixels) // 2)
    return folder


def drift_events(running: server.Running, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The events about drift that the server has stored of a flow run."""
    of_run = {"id": [f"prefect.flow-run.{run['id']}"]}
    wanted = {"event": {"name": ["mri.scoring.drifted"]}, "related": of_run}
    return list(call(running, "events/filter", {"filter": wanted})["events"])


@pytest.mark.usefixtures("trained")
def test_a_flow_run_that_finds_drift_tells_the_server_why_in_an_event_and_an_artifact(
    running: server.Running, brighter: Path
) -> None:
    run = start(running, "score-mri", folder=str(brighter), device="cpu")
    await_that(lambda: state_of(running, run) in ("Completed", "Failed", "Crashed"))
    assert state_of(running, run) == "Completed"
    of_run = {"flow_runs": {"id": {"any_": [run["id"]]}}, "artifacts": {"key": {"any_": ["scoring-drift"]}}}
    (artifact,) = call(running, "artifacts/filter", of_run)

    await_that(lambda: drift_events(running, run))  # the server stores events some time after it has received them
    (event,) = drift_events(running, run)
    reason = event["payload"]["reason"]
    assert "brightness" in reason
    assert artifact["data"] == f"**yes**: {reason}"
    assert event["resource"]["prefect.resource.id"].startswith("mri.scoring.score-")
    models = [each for each in event["related"] if each["prefect.resource.role"] == "model"]
    assert [each["prefect.resource.id"].startswith("mri.model.resnet18-") for each in models] == [True]
