"""What a run shows in Prefect's UI: progress while it works, tables when a step is done."""

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

import pandas as pd
from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from mri_model import steps
from mri_model.data.manifest import Manifest, read_validation
from mri_model.evaluation.metrics import Evaluation
from mri_model.models.metadata import ModelMetadata, read_history
from mri_model.progress import ProgressCallback, no_progress, progress_lines
from mri_model.quality.report import QualityReport
from mri_model.quality.text import quality_markdown, quality_table
from mri_model.report.text import (
    TITLES,
    describe_evaluation,
    describe_model,
    describe_scoring,
    series_line,
    series_table,
)
from mri_model.scoring.run import ScoringRun

P = ParamSpec("P")
T = TypeVar("T")

UPDATE_SECONDS = 2.0

SHOWN_SERIES = 100


def optional(show: Callable[P, T]) -> Callable[P, T | None]:
    """What a run shows does not decide about its work: an error, for example a server that is away, is only logged."""

    @functools.wraps(show)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return show(*args, **kwargs)
        except Exception as error:
            get_run_logger().warning("cannot show this in Prefect: %s", error)
            return None

    return call


@contextmanager
def progress_artifact(step: Callable[..., Any]) -> Iterator[ProgressCallback]:
    """A progress callback for a step that takes one: a progress artifact, and a log line every few seconds."""
    if "progress" not in inspect.signature(step).parameters:
        yield no_progress
        return
    artifact = optional(create_progress_artifact)(0.0, key=f"{key_of(step)}-progress", description="started")
    log = progress_lines(get_run_logger().info)
    updated = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal updated
        log(stage, done, total)
        if done == total or time.monotonic() - updated > UPDATE_SECONDS:
            updated = time.monotonic()
            percent = 100.0 * done / total if total else 100.0
            update(percent, f"{stage}: {done}/{total}")

    def update(percent: float, description: str) -> None:
        if artifact:
            optional(update_progress_artifact)(cast(UUID, artifact), percent, description=description)

    yield progress
    update(100.0, "done")


def key_of(step: Callable[..., Any]) -> str:
    """Prefect's artifact keys are lowercase letters, digits and dashes."""
    return step.__name__.replace("_", "-")


@optional
def show_result(step: Callable[..., Any], result: Any) -> None:
    """The artifacts of a step's result, if it has any."""
    if step in SHOWN:
        SHOWN[step](result)


def show_manifest(manifest: Manifest | None) -> None:
    if manifest is None:
        return
    validation = read_validation(manifest.folder)
    rows = [(each.rule, each.success, len(each.offenders)) for each in validation.rules] if validation else []
    show_table(
        "validation",
        pd.DataFrame(rows, columns=["rule", "success", "offenders"]),
        "Great Expectations' result, rule by rule",
    )
    frame = manifest.frame
    facts = {"digest": manifest.digest, "folder": manifest.folder, "profile": manifest.profile, "files": len(frame)}
    facts |= {"groups": frame["group"].nunique(), "classes": len(manifest.classes), "seed": manifest.seed}
    show_table("manifest", as_table(facts, "fact"), f"Manifest {manifest.digest}")
    rejected = frame.loc[frame["status"] == "rejected", ["path", "reason"]]
    show_table("rejected-files", rejected, f"{len(rejected)} files were rejected")


def show_quality(report: QualityReport) -> None:
    show_table("quality", quality_table(report), "How far a score on this data set can be believed")
    show_markdown("quality-issues", quality_markdown(report), "What to know before training on this data set")
    for issue in report.issues:
        if issue.level == "serious":
            get_run_logger().warning("%s %s", issue.text, issue.advice)


def show_learning_curve(folder: Path) -> None:
    epochs = pd.DataFrame([vars(row) for row in read_history(folder)])
    show_table("learning-curve", epochs, f"Epochs of {folder.name}; as a picture: {folder / 'curves.svg'}")


def show_model(model: ModelMetadata) -> None:
    facts = {"model": model.id, "epochs": model.epochs, "device": model.device}
    facts |= {"best epoch": model.metrics.epoch, "validation accuracy": model.metrics.val_accuracy}
    facts |= {"validation macro-F1": model.metrics.val_f1, "weights": model.recipe["weights"]}
    show_table("model", as_table(facts, "fact"), f"Model {model.id}")
    get_run_logger().info(describe_model(model))


def show_evaluation(evaluation: Evaluation) -> None:
    get_run_logger().info(describe_evaluation(evaluation))
    overall = as_table(vars(evaluation.overall), "metric")
    show_table("evaluation", overall, "The whole split, and its duplicate-free subset")
    show_table("evaluation-classes", evaluation.classes.sort_values(["f1", "label"]), "One row per class, worst first")
    show_table("evaluation-contrasts", evaluation.contrasts, "One row per contrast")
    show_table("evaluation-similarities", evaluation.similarities, "By similarity to the nearest training image")
    show_table("evaluation-confusion", evaluation.confusion, "Confusion matrix; cells without images left out")


def show_page(page: Path) -> None:
    """Where the report page is: a browser does not open a file from Prefect's UI, so its path is shown to be copied."""
    show_markdown("report-page", f"    {page}", "The report page; open it in a browser")
    get_run_logger().info("page  %s", page)


def show_scores(scored: ScoringRun) -> None:
    get_run_logger().info(describe_scoring(scored))
    counts = as_table(vars(scored.counts), "count")
    show_table("scoring-run", counts, f"{scored.run_id} by {scored.model_id}, in {scored.parquet}")
    if not (series := scored.series).empty:
        shown = series_table(series.head(SHOWN_SERIES))
        show_table("scoring-series", shown, f"{series_line(series)}; the first {len(shown)} of them")
    named = pd.DataFrame(scored.reasons.named.items(), columns=["path", "reason"])
    if scored.drift:
        state, reason = scored.drift
        show_markdown("scoring-drift", f"**{state}**: {reason}", "Whether new images differ from the validation images")
        if state == "yes":
            get_run_logger().warning("drift: %s", reason)
    show_table(
        "scoring-rejected", named, f"{scored.n_failed} files could not be scored; the first {len(named)} of them"
    )


def show_report_tables(tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        show_table(name, table, TITLES[name])


SHOWN: dict[Callable[..., Any], Callable[[Any], None]] = {
    steps.find_ingested: show_manifest,
    steps.write_manifest: show_manifest,
    steps.report_quality: show_quality,
    steps.train_network: show_learning_curve,
    steps.record_model: show_model,
    steps.evaluate_model: show_evaluation,
    steps.write_report_page: show_page,
    steps.write_comparison_page: show_page,
    steps.write_sweep_page: show_page,
    steps.score_folder: show_scores,
    steps.query_report_tables: show_report_tables,
}
"""Step → what it shows of its result."""


def show_table(key: str, table: pd.DataFrame, description: str) -> None:
    """A table artifact; missing values are shown empty."""
    create_table_artifact(records(table), key=key, description=description)


def show_markdown(key: str, text: str, description: str) -> None:
    create_markdown_artifact(text, key=key, description=description)


def as_table(facts: dict[str, Any], name: str) -> pd.DataFrame:
    """One row per fact; what is neither a number nor a text is shown as text."""
    plain = {key: value if isinstance(value, int | float | str) else str(value) for key, value in facts.items()}
    return pd.DataFrame(plain.items(), columns=[name, "value"])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), "")
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
