"""How a stage runs its steps."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mri_model.errors import UsageError
from mri_model.progress import Log, ProgressCallback, is_distributed, no_log, no_progress

if TYPE_CHECKING:
    pass


T = TypeVar("T")


@dataclass(frozen=True)
class StepRunner:
    """Runs the steps of a stage by calling them.

    A step that has a parameter ``progress`` or ``log`` is given the runner's.
    """

    progress: ProgressCallback = no_progress
    log: Log = no_log

    def __call__(self, step: Callable[..., T], *arguments: Any) -> T:
        return step(*arguments, **callbacks(step, self.progress, self.log))


DIRECT = StepRunner()


def callbacks(step: Callable[..., Any], progress: ProgressCallback, log: Log) -> dict[str, Any]:
    """Those of ``progress`` and ``log`` that a step takes."""
    parameters = inspect.signature(step).parameters
    return {name: value for name, value in (("progress", progress), ("log", log)) if name in parameters}


def require_one_process(stage: str) -> None:
    """Raises UsageError under ``torchrun``: only a single training runs in several processes."""
    if is_distributed():
        raise UsageError(f"{stage} runs in one process", "start it without torchrun")
