"""Several trainings that belong together: image sizes to compare, seeds, or the folds of a cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mri_model.data.splits import GIVEN
from mri_model.errors import UsageError
from mri_model.evaluation.metrics import Evaluation
from mri_model.files import digest_of
from mri_model.models.metadata import ModelMetadata
from mri_model.options import MAX_SEED, MAX_SEEDS
from mri_model.training.recipe import Recipe, check_folds, make_recipe, model_id

SweepKind = Literal["sizes", "seeds", "folds"]


@dataclass(frozen=True)
class Sweep:
    """The recipes of a sweep on one manifest. Run again, it has the same id and finds its models."""

    kind: SweepKind
    recipes: tuple[Recipe, ...]
    manifest_digest: str
    id: str = field(init=False)

    def __post_init__(self) -> None:
        models = [model_id(recipe.recorded(), self.manifest_digest) for recipe in self.recipes]
        object.__setattr__(self, "id", f"{self.kind}-{digest_of(models)[:10]}")


@dataclass(frozen=True)
class TrainingResult:
    """What a training stage made.

    Attributes:
        models: The trained models, in order.
        folders: Their folders.
        sweep_id: Id of the sweep they belong to, None for a single training.
        evaluations: Of a sweep of seeds or folds: each model on its own test split.
        pooled: Of a cross-validation: all folds' predictions together.
        page: The report page of ``pooled``.
    """

    models: list[ModelMetadata] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    sweep_id: str | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    pooled: Evaluation | None = None
    page: Path | None = None


def seed_recipes(recipe: Recipe, seeds: int) -> tuple[Recipe, ...]:
    """The recipe with ``seeds`` successive seeds, from its own on."""
    if not 1 <= seeds <= MAX_SEEDS or recipe.seed + seeds - 1 > MAX_SEED:
        raise UsageError(f"there are no {seeds} seeds from {recipe.seed} on", f"use 1 to {MAX_SEEDS} seeds")
    return tuple(replace(recipe, seed=recipe.seed + number) for number in range(seeds))


def fold_recipes(recipe: Recipe, folds: int) -> tuple[Recipe, ...]:
    """The recipe for each fold of a grouped cross-validation."""
    check_folds(folds)
    if recipe.protocol == GIVEN:
        raise UsageError(f"the protocol {GIVEN} has no folds", "leave out --protocol: folds are always grouped")
    return tuple(replace(recipe, protocol="grouped", folds=folds, fold=fold) for fold in range(1, folds + 1))


def size_recipes(name: str, sizes: Sequence[int], **changes: Any) -> tuple[Recipe, ...]:
    """A named recipe, with changes, at several image sizes (pixels)."""
    if not sizes:
        raise UsageError("there are no image sizes to compare", "give at least one, for example 100,256,630")
    if changes.get("image_size") is not None:
        raise UsageError("the image size is given twice", "give it by the list of sizes only")
    return tuple(make_recipe(name, **{**changes, "image_size": size}) for size in sizes)
