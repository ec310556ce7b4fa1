"""Model → evaluation, again or for the first time, and its report page."""

from pathlib import Path
from typing import TYPE_CHECKING

from mri_model import steps
from mri_model.api.runner import DIRECT, StepRunner, require_one_process
from mri_model.data.manifest import Manifest
from mri_model.errors import UsageError
from mri_model.models.metadata import read_metadata
from mri_model.options import DEFAULT_MODEL, Device, Split
from mri_model.settings import Settings

if TYPE_CHECKING:
    from mri_model.evaluation.metrics import Evaluation
    from mri_model.evaluation.reevaluation import Reevaluation


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


def evaluate_folder(
    settings: Settings, folder: Path, manifest: Manifest, split: Split, device: Device, run: StepRunner
) -> "Evaluation":
    evaluation = run(steps.evaluate_model, settings, folder, manifest, split, device)
    run(steps.record_evaluation, settings, folder, manifest, split, evaluation)
    return evaluation


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


def report(
    settings: Settings,
    model: str = DEFAULT_MODEL,
    compare: str = "",
    with_images: bool = False,
    run: StepRunner = DIRECT,
) -> Path:
    """Model with a test evaluation, or cross-validation → the path of its report page.

    Args:
        model: A model, or the sweep of a cross-validation by its id or the start of it.
        compare: Another model: the page then puts the two side by side.
        with_images: Whether the page holds pictures of the data.

    Raises:
        MriError: If a model has no test evaluation.
        UsageError: If pictures are asked for on a page that compares, or a cross-validation is compared.
    """
    if compare and with_images:
        raise UsageError("a comparison shows no pictures", "give either --compare or --with-images")
    require_one_process("a report page")
    run(steps.check_database, settings)
    if compare:
        return compare_models(settings, model, compare, run)
    if sweep_id := run(steps.find_sweep, settings, model):
        return run(steps.write_sweep_page, settings, sweep_id, with_images)
    folder = run(steps.choose_model, settings, model)
    return run(steps.write_report_page, settings, folder, with_images)


def compare_models(settings: Settings, first: str, second: str, run: StepRunner) -> Path:
    """The page that puts two models side by side."""
    if any(steps.find_sweep(settings, name) for name in (first, second)):
        raise UsageError("a cross-validation has no page that compares it", "see: mri query sweeps")
    folder, other = (run(steps.choose_model, settings, name) for name in (first, second))
    if folder == other:
        raise UsageError("both are the same model", "name two models, see: mri query models")
    return run(steps.write_comparison_page, settings, folder, other)
