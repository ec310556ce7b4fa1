"""Prefect parameters derived from the fields of a recipe, so that Prefect's form shows their bounds and help texts."""

import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import Field

from mri_model.options import MAX_FOLDS, MAX_SEED, MAX_SEEDS
from mri_model.training.recipe import OPTIONS

F = TypeVar("F", bound=Callable[..., Any])

Seed = Annotated[int, Field(ge=0, le=MAX_SEED, description="Decides the random choices.")]
Seeds = Annotated[int, Field(ge=1, le=MAX_SEEDS, description="Train and test with this many seeds, from seed on.")]
Folds = Annotated[
    int, Field(ge=0, le=MAX_FOLDS, description="Grouped cross-validation with this many folds; 0 for none.")
]


def with_recipe_parameters(names: Iterable[str]) -> Callable[[F], F]:
    """Replace a flow function's ``**changes`` by one parameter for each recipe field in ``names``; empty means None."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        derived = [recipe_parameter(name) for name in names]
        function.__signature__ = signature.replace(parameters=[*own, *derived])  # type: ignore[attr-defined]
        return function

    return decorate


def recipe_parameter(name: str) -> inspect.Parameter:
    """The Prefect parameter of a recipe field."""
    option = OPTIONS[name]
    field = Field(description=f"{option.help} Empty: the recipe's.", **option.bounds)  # type: ignore[call-overload]
    kind = Annotated[option.type | None, field]  # type: ignore[name-defined]  # built at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
