"""Runs each step of a stage as a Prefect task: named after the step, with retries, progress and result artifacts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from mri_model import steps
from mri_model.api import StepRunner, callbacks
from tasks.artifacts import progress_artifact, show_result
from tasks.states import can_retry

T = TypeVar("T")

RETRIES = 2
RETRY_SECONDS = 10

GPU_STEPS = (steps.train_network,)
"""Steps that hold the ``gpu`` slot, which stands for the machine's one accelerator."""

GPU_LEASE_SECONDS = 60
"""How long a dead process can keep the slot (Prefect's shortest lease); a running one renews it."""


class TaskRunner(StepRunner):
    """Every step is retried: a step can be repeated, see ``mri_model/steps/``. Errors that only the user can fix,
    such as a missing folder, are not retried (``tasks/states.py``)."""

    def __call__(self, step: Callable[..., T], *arguments: Any) -> T:
        @task(
            name=step.__name__.replace("_", " "),
            description=step.__doc__,
            cache_policy=NO_CACHE,
            retries=RETRIES,
            retry_delay_seconds=RETRY_SECONDS,
            retry_condition_fn=can_retry,
        )
        def run(*arguments: Any) -> T:
            log = get_run_logger().info
            with gpu_slot(step), progress_artifact(step) as progress:
                result = step(*arguments, **callbacks(step, progress, log))
            show_result(step, result)
            return result

        return run(*arguments)


@contextmanager
def gpu_slot(step: Callable[..., Any]) -> Iterator[None]:
    if step not in GPU_STEPS:
        yield
        return
    with concurrency("gpu", occupy=1, lease_duration=GPU_LEASE_SECONDS):
        yield
