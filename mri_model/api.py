"""The stages as plain functions: the only place where the sequence of a stage's steps is written.

The command line and the Prefect flows both call these. A stage runs each step through ``run``: a ``StepRunner`` calls
it directly; the flows pass one that makes it a Prefect task (``tasks/runner.py``).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mri_model import steps
from mri_model.data.class_folders import ClassNaming
from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest
from mri_model.data.profile import AUTO, Profile, as_found
from mri_model.errors import UsageError
from mri_model.models.metadata import read_metadata
from mri_model.options import DEFAULT_MODEL, Device, OnInvalid, Split
from mri_model.progress import Log, ProgressCallback, is_distributed, no_log, no_progress
from mri_model.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from mri_model.evaluation.comparison import Difference
    from mri_model.evaluation.gate import Promotion
    from mri_model.evaluation.metrics import Evaluation
    from mri_model.evaluation.reevaluation import Reevaluation
    from mri_model.results.deletion import Deletion
    from mri_model.results.questions import Question
    from mri_model.scoring.run import ScoringRun
    from mri_model.training.recipe import Recipe
    from mri_model.training.sweep import Sweep, SweepKind, TrainingResult

REPORT_SIZES = (100, 256, 630)
"""Image sizes of the report's Table 3, in pixels."""

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


def learn_profile(
    settings: Settings,
    data: Path,
    class_level: int = 0,
    class_map: Mapping[str, str] | None = None,
    run: StepRunner = DIRECT,
) -> Profile:
    """A profile of a folder as it is, named after it; the folder follows it."""
    naming = ClassNaming(class_level, class_map or {})
    inventory = take_inventory(data, progress=run.progress, cache=settings.cache, naming=naming)
    name = data.resolve().name or "root"
    return as_found(inventory.profile, inventory.frame, "learnt" if name == AUTO else name)


def ingest(
    settings: Settings,
    data: Path,
    profile: str = "auto",
    seed: int = 0,
    on_invalid: OnInvalid = "fail",
    class_level: int = 0,
    class_map: Mapping[str, str] | None = None,
    run: StepRunner = DIRECT,
) -> Manifest:
    """Folder → validated manifest with its quality report.

    Args:
        class_level: Which folder is the class, see ``ClassNaming``.
        class_map: Class as found → class as it is to be called.

    Raises:
        RefusedError: If the data set breaks a rule of its profile.
        MriError: If the folder holds no image in a class folder, or the database cannot be used.
    """
    require_one_process("ingestion")
    run(steps.check_data, settings, data)
    run(steps.check_database, settings)
    inventory = run(steps.take_inventory, settings, data, profile, ClassNaming(class_level, class_map or {}))
    manifest = run(steps.find_ingested, settings, inventory, seed)
    if manifest is None:
        inventory = run(steps.validate_inventory, settings, inventory, on_invalid)
        manifest = run(steps.write_manifest, settings, inventory, seed)
    run(steps.report_quality, settings, inventory, manifest)
    run(steps.make_latest, inventory, manifest)
    run(steps.record_dataset, settings, manifest)
    return manifest


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


def require_one_process(stage: str) -> None:
    """Raises UsageError under ``torchrun``: only a single training runs in several processes."""
    if is_distributed():
        raise UsageError(f"{stage} runs in one process", "start it without torchrun")


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
    return replace(result, pooled=pool_folds(settings, sweep, manifest, result.evaluations, run))


def pool_folds(
    settings: Settings, sweep: "Sweep", manifest: Manifest, folds: "list[Evaluation]", run: StepRunner
) -> "Evaluation":
    """Record the evaluation of all folds' predictions together."""
    from mri_model.evaluation.evaluate import pool

    pooled = pool(folds, manifest)
    run(steps.record_evaluation, settings, sweep, manifest, "test", pooled)
    return pooled


def evaluate(
    settings: Settings,
    model: str = DEFAULT_MODEL,
    split: Split = "test",
    manifest_name: str = "",
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "Evaluation":
    """Model → recorded evaluation, by default on the manifest the model was trained on.

    An evaluation of the test split also writes the model's report page.

    Raises:
        RefusedError: If the manifest's classes are not the model's.
    """
    require_one_process("evaluation")
    run(steps.check_database, settings)
    folder = run(steps.choose_model, settings, model)
    manifest = run(steps.open_manifest, settings, manifest_name or read_metadata(folder).manifest)
    evaluation = evaluate_folder(settings, folder, manifest, split, device, run)
    if split == "test":
        run(steps.write_report_page, settings, folder)
    return evaluation


def report(
    settings: Settings,
    model: str = DEFAULT_MODEL,
    compare: str = "",
    with_images: bool = False,
    run: StepRunner = DIRECT,
) -> Path:
    """Model with a test evaluation → the path of its report page.

    Args:
        compare: Another model: the page then puts the two side by side.
        with_images: Whether the page holds pictures of the data.

    Raises:
        MriError: If a model has no test evaluation.
        UsageError: If pictures are asked for on a page that compares.
    """
    if compare and with_images:
        raise UsageError("a comparison shows no pictures", "give either --compare or --with-images")
    require_one_process("a report page")
    run(steps.check_database, settings)
    folder = run(steps.choose_model, settings, model)
    if not compare:
        return run(steps.write_report_page, settings, folder, with_images)
    other = run(steps.choose_model, settings, compare)
    if folder == other:
        raise UsageError("both are the same model", "name two models, see: mri query models")
    return run(steps.write_comparison_page, settings, folder, other)


def evaluate_folder(
    settings: Settings, folder: Path, manifest: Manifest, split: Split, device: Device, run: StepRunner
) -> "Evaluation":
    evaluation = run(steps.evaluate_model, settings, folder, manifest, split, device)
    run(steps.record_evaluation, settings, folder, manifest, split, evaluation)
    return evaluation


def promote(
    settings: Settings,
    model: str,
    why: str = "",
    force: bool = False,
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "Promotion":
    """Make a model the champion, which evaluation and scoring use, if it passes the gate (``evaluation/gate.py``).

    Candidate and champion are compared on the test images of the candidate's manifest; what is not evaluated yet is.

    Args:
        force: Without the gate; the history says so.

    Raises:
        RefusedError: If the gate refuses the model.
    """
    require_one_process("promotion")
    run(steps.check_database, settings)
    candidate = run(steps.choose_model, settings, model)
    champion = None if force else run(steps.find_champion_folder, settings)
    if champion is None or champion.name == candidate.name:
        return run(steps.promote_model, settings, candidate, why or "no gate", force)
    difference = difference_from(settings, candidate, champion, device, run)
    run(steps.check_gate, candidate, champion, difference)
    promotion = run(steps.promote_model, settings, candidate, why or "passed the gate", False)
    return replace(promotion, difference=difference)


def difference_from(
    settings: Settings, candidate: Path, champion: Path, device: Device, run: StepRunner
) -> "Difference | None":
    """Candidate minus champion; None if their classes differ."""
    if read_metadata(candidate).classes != read_metadata(champion).classes:
        return None
    manifest = run(steps.open_manifest, settings, read_metadata(candidate).manifest)
    for folder in (candidate, champion):
        if not run(steps.is_evaluated, settings, folder, manifest):
            evaluate_folder(settings, folder, manifest, "test", device, run)
    return run(steps.compare_with_champion, settings, candidate, champion, manifest)


def reevaluate(
    settings: Settings,
    model: str = DEFAULT_MODEL,
    arrived: Path | None = None,
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "Reevaluation":
    """Evaluate a model again on its frozen test split, and on labelled images that arrived since.

    Both evaluations are recorded, the second one with the split ``arrived``. ``problems`` of the result says what is
    not as it was.

    Args:
        arrived: Folder of class folders, of the model's classes; it may be empty.

    Raises:
        ChangedError: If a test file is gone or changed; nothing is evaluated then.
    """
    require_one_process("evaluation")
    run(steps.check_database, settings)
    folder = run(steps.choose_model, settings, model)
    manifest = run(steps.open_manifest, settings, read_metadata(folder).manifest)
    run(steps.check_test_files, folder, manifest)
    new = run(steps.ingest_arrived, settings, folder, arrived) if arrived else None
    last = run(steps.find_last_answers, settings, folder, manifest)
    evaluation = evaluate_folder(settings, folder, manifest, "test", device, run)
    run(steps.write_report_page, settings, folder)
    found = run(steps.repeat_evaluation, evaluation, last)
    if new:
        of_arrived = run(steps.evaluate_model, settings, folder, new, "all", device)
        run(steps.record_evaluation, settings, folder, new, "arrived", of_arrived)
        return run(steps.measure_drop, found, of_arrived)
    return found


def score(
    settings: Settings,
    folder: Path,
    model: str = DEFAULT_MODEL,
    device: Device = "auto",
    run: StepRunner = DIRECT,
) -> "ScoringRun":
    """Folder of images → one row for every file, in Parquet and in the database."""
    require_one_process("scoring")
    run(steps.check_database, settings)
    model_folder = run(steps.choose_model, settings, model)
    return run(steps.score_folder, settings, model_folder, folder, device)


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


def plan_deletion(settings: Settings, name: str) -> "Deletion":
    """What ``delete`` removes: the rows and files of a model or of a scoring run, by its id or the start of one.

    Raises:
        RefusedError: If it is the champion.
    """
    return steps.plan_deletion(settings, name)


def delete(settings: Settings, deletion: "Deletion") -> None:
    """Delete the rows, in one transaction, then the files."""
    steps.delete_rows(settings, deletion)
    steps.delete_files(deletion)


def query(settings: Settings, name: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
    """The answer to a named question.

    Args:
        parameters: Parameter → value, for those that are not to have their default.

    Raises:
        UsageError: The question has no such parameter, or a value is not what it must be.
        MriError: There is no such question, model or class.
    """
    with steps.open_store(settings) as store:
        return store.query(name, **(parameters or {}))


def list_questions() -> "dict[str, Question]":
    """All questions by name: what each asks, and its parameters."""
    from mri_model.results.questions import questions

    return questions()


def find_question(name: str) -> "Question":
    """A question by its name. Raises MriError if there is none; the hint names similar ones."""
    from mri_model.results import questions

    return questions.find_question(name)


def export(settings: Settings, folder: Path, run: StepRunner = DIRECT) -> dict[str, int]:
    """Every table of the results database as ``<table>.parquet``, in a folder that must not exist or be empty.

    Returns:
        Table name → number of rows.
    """
    with steps.open_store(settings) as store:
        return store.export(folder, run.progress)


def check_database(settings: Settings) -> str:
    """Open the results database; returns its URL without the password."""
    from mri_model.results.url import parse, shown

    steps.check_database(settings)
    return shown(parse(settings.results_url))
