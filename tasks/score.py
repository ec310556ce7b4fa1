"""Tasks of scoring."""

from pathlib import Path

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from mri_model import api
from mri_model.report.text import describe_scored
from mri_model.scoring.run import Scored
from mri_model.settings import Settings
from tasks.artifacts import show_table, shown_progress
from tasks.states import worth_a_retry


@task(name="score folder", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=10, retry_condition_fn=worth_a_retry)
def score_folder(folder: Path, model: str, device: str) -> Scored:
    """A retry scores only what the attempt before it did not."""
    with shown_progress("scoring-progress") as progress:
        return api.score(Settings(), folder, model, device, progress)


@task(name="show scores", cache_policy=NO_CACHE)
def show_scores(scored: Scored) -> None:
    counts = pd.DataFrame(scored.counts.items(), columns=["count", "files"])
    show_table("scoring-run", counts, f"{scored.run_id} by {scored.model_id}, in {scored.parquet}")
    rejected = scored.rows.loc[scored.rows["status"] == "rejected", ["path", "reason"]]
    show_table("scoring-rejected", rejected, f"{len(rejected)} files could not be scored")
    get_run_logger().info(describe_scored(scored))
