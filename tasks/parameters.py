"""Prefect parameters with the bounds and help texts that the command line shows too."""

import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import Field

from mri_model.options import (
    HELP,
    MAX_CLASS_LEVEL,
    MAX_FOLDS,
    MAX_RISK,
    MAX_SEED,
    MAX_SEEDS,
    MAX_WORKERS,
    MIN_RISK,
)
from mri_model.training.recipe import OPTIONS

F = TypeVar("F", bound=Callable[..., Any])

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
ClassLevel = Annotated[int, Field(ge=-MAX_CLASS_LEVEL, le=MAX_CLASS_LEVEL)]
Seeds = Annotated[int, Field(ge=1, le=MAX_SEEDS)]
Workers = Annotated[int, Field(ge=1, le=MAX_WORKERS)]
Risk = Annotated[float, Field(ge=MIN_RISK, le=MAX_RISK)]
Folds = Annotated[int, Field(ge=0, le=MAX_FOLDS)]


def with_parameters(recipe_fields: Iterable[str] = (), **renamed: str) -> Callable[[F], F]:
    """Decorator of a flow's function: complete its parameters for Prefect's form.

    Adds one parameter for each recipe field named, in place of ``**changes``; left empty, it is None. Adds an ``Args``
    section to the docstring, because that is where Prefect takes its help texts from.

    Args:
        renamed: Parameter → its key in ``HELP``, where the two differ.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        fields = list(recipe_fields)
        derived = [recipe_parameter(name) for name in fields]
        function.__signature__ = signature.replace(parameters=[*own, *derived])  # type: ignore[attr-defined]
        texts = {each.name: HELP[renamed.get(each.name, each.name)] for each in own}
        texts |= {name: f"{OPTIONS[name].help} Empty: the recipe's." for name in fields}
        arguments = "\n".join(f"    {name}: {text}" for name, text in texts.items())
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nArgs:\n{arguments}\n"
        return function

    return decorate


def recipe_parameter(name: str) -> inspect.Parameter:
    """The Prefect parameter of a recipe field."""
    option = OPTIONS[name]
    kind = Annotated[option.type | None, Field(**option.bounds)]  # type: ignore[name-defined]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
