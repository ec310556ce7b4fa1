"""reproduce-report: the report's whole experiment, Tables 1 to 6."""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from prefect import flow
from pydantic import Field

from mri_model import api
from mri_model.options import Device, OnInvalid
from mri_model.settings import load_settings
from mri_model.training.recipe import OPTIONS
from tasks.parameters import Seed, with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="reproduce-report")
@plain_failures
@with_parameters(name for name in OPTIONS if name not in ("image_size", "seed"))
def reproduce_report(
    data: Path,
    sizes: Annotated[tuple[int, ...], Field(min_length=1)] = api.REPORT_SIZES,
    profile: str = "auto",
    seed: Seed = 0,
    on_invalid: OnInvalid = "fail",
    device: Device = "auto",
    **changes: Any,
) -> dict[str, pd.DataFrame]:
    """Train at each size and test the best model by validation macro-F1; returns the six tables by name."""
    settings = load_settings()
    recipes = api.report_recipes(settings, sizes, seed=seed, **changes)
    return api.reproduce(settings, data, recipes, profile, seed, on_invalid, device, TaskRunner())
