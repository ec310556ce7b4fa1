"""What a user can cause ends as a failed state with one line, not with a traceback."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect.exceptions import FailedRun
from prefect.states import Failed

from mri_model.errors import MriError, RefusedError

P = ParamSpec("P")
T = TypeVar("T")


def plainly(function: Callable[P, T]) -> Callable[P, T]:
    """For the function of a flow or task: an MriError becomes its final state, ``Refused`` where a rule said no."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except MriError as error:
            name = "Refused" if isinstance(error, RefusedError) else "Failed"
            return failed(name, f"{error}. {error.hint}" if error.hint else str(error))
        except FailedRun as error:
            return failed("Failed", str(error))

    return run


def failed(name: str, message: str) -> Any:
    return Failed(name=name, message=message)
