"""Command-line options that several commands share, and those derived from the fields of a recipe."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from mri_model import options
from mri_model.options import HELP, MAX_CLASS_LEVEL, MAX_SEED
from mri_model.training.recipe import OPTIONS

F = TypeVar("F", bound=Callable[..., None])

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Data = Annotated[Path, typer.Argument(help=HELP["data"])]
Profile = Annotated[str, typer.Option(help=HELP["profile"])]
OnInvalid = Annotated[
    options.OnInvalid,
    typer.Option(help=HELP["on_invalid"]),
]
ClassLevel = Annotated[int, typer.Option(min=-MAX_CLASS_LEVEL, max=MAX_CLASS_LEVEL, help=HELP["class_level"])]
ClassMap = Annotated[
    list[str] | None, typer.Option("--map", metavar="OLD=NEW", help=f"{HELP['class_map']} Repeatable.")
]
Labels = Annotated[Path | None, typer.Option(metavar="FILE", help=HELP["labels"])]
HashPaths = Annotated[bool, typer.Option("--hash-paths", help=HELP["hash_paths"])]
Seed = Annotated[int, typer.Option(min=0, max=MAX_SEED, help=HELP["seed"])]
Device = Annotated[options.Device, typer.Option(help=HELP["device"])]
RecipeName = Annotated[options.RecipeName, typer.Option("--recipe", help=HELP["recipe"])]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any field of the recipe, repeatable; see mri recipe."),
]
ManifestName = Annotated[str, typer.Option("--manifest", help=HELP["manifest"])]
ModelName = Annotated[
    str,
    typer.Option("--model", help=HELP["model"]),
]

COMMON = ("image_size", "batch_size", "epochs", "learning_rate", "weights", "protocol", "seed")
"""Recipe fields that ``mri train`` shows as options of their own; ``--set`` reaches the others."""


def with_recipe_options(names: Iterable[str]) -> Callable[[F], F]:
    """Replace a command's ``**changes`` by one option for each recipe field in ``names``; not given means None."""

    def decorate(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        derived = [recipe_parameter(name) for name in names]
        command.__signature__ = signature.replace(parameters=[*own[:2], *derived, *own[2:]])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in (*own, *derived)}
        return command

    return decorate


def recipe_parameter(name: str) -> inspect.Parameter:
    """The typer option of a recipe field."""
    field = OPTIONS[name]
    info = typer.Option(help=field.help, min=field.ge, max=field.le, show_default="the recipe's")
    annotation = Annotated[field.type | None, info]  # type: ignore[name-defined]  # built at run time
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
