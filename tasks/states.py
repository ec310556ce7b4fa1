"""An error that a user can cause ends as a failed state with one line why and what to do, without a traceback."""

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import FailedRun
from prefect.states import Cancelled, Failed

from mri_model.errors import ChangedError, MriError, RefusedError, SkippedError, UnavailableError

P = ParamSpec("P")
T = TypeVar("T")

LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine", "prefect.flow_engine", "prefect.task_engine")


NAMES: dict[type[MriError], str] = {ChangedError: "Changed", RefusedError: "Refused"}
"""Kind of error → name of the state; the first that fits."""


def plain_failures(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator of a flow's function: an MriError becomes its final state, called by ``NAMES`` or ``Failed``.

    Work that is not to be done now ends as ``Skipped``.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except SkippedError as error:
            return skipped(said(error))
        except MriError as error:
            name = next((name for kind, name in NAMES.items() if isinstance(error, kind)), "Failed")
            return failed(name, said(error))
        except FailedRun as error:  # of a flow that this one called
            return failed("Failed", str(error))

    return run


def said(error: MriError) -> str:
    """An error and what to do about it, in one line."""
    return f"{error}. {error.hint}" if error.hint else str(error)


def failed(name: str, message: str) -> Any:
    return Failed(name=name, message=message)


def skipped(message: str) -> Any:
    return Cancelled(name="Skipped", message=message)


def can_retry(task: Any, run: TaskRun, state: State) -> bool:
    """Whether a retry of a failed task can help: not for errors that only the user can fix."""
    error = state.data if isinstance(state.data, BaseException) else getattr(state.data, "result", None)
    return isinstance(error, UnavailableError) or not isinstance(error, MriError)


class WithoutTraceback(logging.Filter):
    """Drops the traceback of an error that the user can fix, and the engine's line that only announces it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], MriError | FailedRun):
            record.exc_info = record.exc_text = None
            return "exited with unexpected exception" not in record.getMessage()
        return True


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(WithoutTraceback())
