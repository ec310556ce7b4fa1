"""Tasks of training."""

from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from mri_model import api
from mri_model.data.manifest import Manifest, find_manifest
from mri_model.models.metadata import read_history, read_metadata
from mri_model.report.text import ALREADY_TRAINED, describe_epoch, describe_model
from mri_model.settings import Settings
from mri_model.training import recipe as recipes
from mri_model.training.recipe import Recipe
from tasks.artifacts import show_table, shown_progress
from tasks.states import worth_a_retry

GPU_LEASE_SECONDS = 60
"""How long a dead process can hold the slot (Prefect's shortest lease); a living one renews it."""


@task(name="open manifest", cache_policy=NO_CACHE)
def open_manifest(name: str) -> Manifest:
    """Also opens the results database: one that is not there costs no training."""
    api.open_store(Settings()).close()
    return find_manifest(Settings().manifests, name)


@task(name="make recipe", cache_policy=NO_CACHE)
def make_recipe(name: str, weights: str, **changes: Any) -> Recipe:
    return recipes.make_recipe(name, weights=weights or Settings().weights, **changes)


@task(name="train network", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=10, retry_condition_fn=worth_a_retry)
def fit(recipe: Recipe, manifest: Manifest, device: str) -> Path:
    """A retry goes on from the last checkpoint. The ``gpu`` slot stands for the machine's one accelerator."""
    logger = get_run_logger()
    n_epochs = 0

    def on_epoch(row: dict[str, Any]) -> None:
        nonlocal n_epochs
        n_epochs += 1
        logger.info(describe_epoch(row))

    with (
        concurrency("gpu", occupy=1, lease_duration=GPU_LEASE_SECONDS),
        shown_progress("training-progress") as progress,
    ):
        folder = api.fit(Settings(), recipe, manifest, device, on_epoch, progress)
    if not n_epochs:
        logger.info(ALREADY_TRAINED)
    return folder


@task(name="record model", cache_policy=NO_CACHE)
def record_model(folder: Path, sweep: str) -> None:
    api.record_model(Settings(), folder, sweep)


@task(name="show training", cache_policy=NO_CACHE)
def show_training(folder: Path) -> None:
    metadata = read_metadata(folder)
    show_table(
        "learning-curve", read_history(folder), f"Epochs of {metadata['id']}; as a picture: {folder / 'curves.svg'}"
    )
    get_run_logger().info(describe_model(metadata, folder))
