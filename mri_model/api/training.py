"""Manifest and recipe → models; the report's experiment."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri_model import steps
from mri_model.api.evaluation import evaluate_folder
from mri_model.api.ingestion import ingest
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.data.manifest import Manifest
from mri_model.errors import UsageError
from mri_model.options import Device, OnInvalid
from mri_model.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from mri_model.training.recipe import Recipe
    from mri_model.training.sweep import Sweep, SweepKind, TrainingResult


def make_recipe(settings: Settings, name: str, **changes: Any) -> "Recipe":
    """A named recipe with changes; without weights, it starts from those of the settings. See ``training.recipe``."""
    from mri_model.training import recipe

    return recipe.make_recipe(name, **{**changes, "weights": changes.get("weights") or settings.weights})


def report_recipes(settings: Settings, sizes: "Sequence[int]", **changes: Any) -> "tuple[Recipe, ...]":
    """The report's recipe, with changes, at several image sizes (pixels)."""
    from mri_model.training.sweep import size_recipes

    return size_recipes("report", sizes, **{**changes, "weights": changes.get("weights") or settings.weights})


def train(
    settings: Settings,
    recipe: "Recipe",
    manifest_name: str = "latest",
    seeds: int = 1,
    folds: int = 0,
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "TrainingResult":
    """Manifest and recipe → model; with ``seeds`` or ``folds``, a sweep of models, each tested.

    Under ``torchrun`` every process calls this; the first one records.

    Args:
        seeds: Number of successive seeds to train and test, from the recipe's on.
        folds: Number of folds of a grouped cross-validation, 0 for none. Every image is tested once.
    """
    from mri_model.training.sweep import TrainingResult

    recipes = sweep_recipes(recipe, seeds, folds)
    run(steps.check_database, settings)
    run(steps.stop_dead_trainings, settings)
    manifest = run(steps.open_manifest, settings, manifest_name)
    if len(recipes) > 1:
        return run_sweep(settings, "folds" if folds else "seeds", recipes, manifest, device, run)
    folder = run(steps.train_network, settings, recipe, manifest, device)
    return TrainingResult([run(steps.record_model, settings, folder)], [folder])


def sweep_recipes(recipe: "Recipe", seeds: int, folds: int) -> "tuple[Recipe, ...]":
    """The recipes that ``train`` runs, one for a single training. Raises UsageError for what cannot be combined."""
    from mri_model.training.sweep import fold_recipes, seed_recipes

    if folds and seeds != 1:
        raise UsageError("seeds and folds cannot be combined", "give either seeds or folds")
    recipes = fold_recipes(recipe, folds) if folds else seed_recipes(recipe, seeds)
    if len(recipes) > 1:
        require_one_process("a sweep")
    return recipes


def run_sweep(
    settings: Settings,
    kind: "SweepKind",
    recipes: "Sequence[Recipe]",
    manifest: Manifest,
    device: Device,
    run: StepRunner,
) -> "TrainingResult":
    """Train and record each model of a sweep and, but for image sizes, test it; pool the folds."""
    from mri_model.training.sweep import Sweep, TrainingResult

    sweep = Sweep(kind, tuple(recipes), manifest.digest)
    result = TrainingResult(sweep_id=sweep.id)
    for recipe in sweep.recipes:
        folder = run(steps.train_network, settings, recipe, manifest, device)
        result.folders.append(folder)
        result.models.append(run(steps.record_model, settings, folder))
        run(steps.record_sweep, settings, sweep, result.models)
        if sweep.kind != "sizes":
            result.evaluations.append(evaluate_folder(settings, folder, manifest, "test", device, run))
    if sweep.kind != "folds":
        return result
    return pool_folds(settings, sweep, manifest, result, run)


def pool_folds(
    settings: Settings, sweep: "Sweep", manifest: Manifest, result: "TrainingResult", run: StepRunner
) -> "TrainingResult":
    """Record the evaluation of all folds' predictions together, and write its report page."""
    from mri_model.evaluation.evaluate import pool

    pooled = pool(result.evaluations, manifest)
    run(steps.record_evaluation, settings, sweep, manifest, "test", pooled)
    return replace(result, pooled=pooled, page=run(steps.write_sweep_page, settings, sweep.id))


def reproduce(
    settings: Settings,
    data: Path,
    recipes: "Sequence[Recipe]",
    profile: str = "auto",
    seed: int = 0,
    on_invalid: OnInvalid = "fail",
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "dict[str, pd.DataFrame]":
    """The report's experiment: train each recipe, evaluate the best by validation macro-F1 on the test split.

    Also writes the report page of that model.

    Returns the report's six tables by name, ``report-table-1`` to ``report-table-6``.
    """
    manifest = ingest(settings, data, profile, seed, on_invalid, run=run)
    trained = run_sweep(settings, "sizes", recipes, manifest, device, run)
    best = best_folder(trained)
    evaluate_folder(settings, best, manifest, "test", device, run)
    run(steps.write_report_page, settings, best)
    return run(steps.query_report_tables, settings)


def best_folder(trained: "TrainingResult") -> Path:
    """The model with the highest validation macro-F1, the first of ties."""
    scores = [model.metrics.val_f1 for model in trained.models]
    return trained.folders[scores.index(max(scores))]
