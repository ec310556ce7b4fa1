"""Tasks of evaluation."""

import time
from pathlib import Path

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from mri_model import api
from mri_model.data.manifest import Manifest, find_manifest
from mri_model.evaluation.metrics import Evaluation
from mri_model.models.metadata import read_metadata
from mri_model.report.text import TITLES, describe_evaluation
from mri_model.settings import Settings
from tasks.artifacts import show_table, shown_progress


@task(name="find model", cache_policy=NO_CACHE)
def find_model(name: str) -> Path:
    return api.find_model(Settings(), name)


@task(name="find its manifest", cache_policy=NO_CACHE)
def find_its_manifest(folder: Path, name: str) -> Manifest:
    return find_manifest(Settings().manifests, name or read_metadata(folder)["manifest"])


@task(name="assess model", cache_policy=NO_CACHE)
def assess(folder: Path, manifest: Manifest, split: str, device: str) -> tuple[Evaluation, float]:
    """The evaluation and the seconds it took."""
    started = time.monotonic()
    with shown_progress("evaluation-progress") as progress:
        return api.assess(Settings(), folder, manifest, split, device, progress), time.monotonic() - started


@task(name="record evaluation", cache_policy=NO_CACHE)
def record_evaluation(folder: Path, manifest: Manifest, split: str, evaluation: Evaluation, seconds: float) -> str:
    evaluation_id = api.record_evaluation(Settings(), folder, manifest, split, evaluation, seconds)
    get_run_logger().info(describe_evaluation(evaluation_id, evaluation))
    return evaluation_id


@task(name="show evaluation", cache_policy=NO_CACHE)
def show_evaluation(evaluation: Evaluation) -> None:
    overall = pd.DataFrame(evaluation.overall.items(), columns=["measure", "value"])
    show_table("evaluation", overall, "The whole split, and its part without near copies in training")
    show_table("evaluation-classes", evaluation.classes.sort_values(["f1", "label"]), "One row a class, worst first")
    show_table("evaluation-contrasts", evaluation.contrasts, "One row a contrast")
    show_table("evaluation-confusion", evaluation.confusion, "Who is taken for whom; cells without images left out")


@task(name="show report tables", cache_policy=NO_CACHE)
def show_report_tables() -> dict[str, pd.DataFrame]:
    """The six tables as artifacts, and by name."""
    with api.open_store(Settings()) as store:
        tables = {name: store.query(name) for name in TITLES}
    for name, table in tables.items():
        show_table(name, table, TITLES[name])
    return tables
