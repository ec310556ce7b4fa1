"""reproduce-report: the report's whole experiment, Tables 1 to 6."""

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from prefect import flow
from pydantic import Field

from flows.evaluate import evaluate_mri
from flows.ingest import ingest_mri
from flows.train import train_mri
from mri_model.api import REPORT_SIZES, best_model
from mri_model.files import run_id
from tasks.evaluate import show_report_tables
from tasks.states import plainly


@flow(name="reproduce-report")
@plainly
def reproduce_report(
    data: Path,
    sizes: Annotated[list[int], Field(min_length=1)] = list(REPORT_SIZES),  # noqa: B006  # Prefect copies it
    profile: str = "auto",
    on_invalid: Literal["fail", "quarantine"] = "fail",
    epochs: Annotated[int, Field(ge=1)] = 10,
    batch_size: Annotated[int, Field(ge=0)] = 0,
    learning_rate: Annotated[float, Field(gt=0)] = 0.01,
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    weights: str = "",
    protocol: Literal["random", "grouped"] = "random",
    seed: Annotated[int, Field(ge=0)] = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> dict[str, pd.DataFrame]:
    """Train at each size, evaluate the best by validation macro-F1 on the test split; returns the six tables by name.

    Args:
        data: Folder that holds one folder a class.
        sizes: Image sizes to compare, in pixels.
    """
    manifest = ingest_mri(data, profile, seed, on_invalid)
    sweep = run_id("sweep")
    folders = [
        train_mri(
            manifest=manifest,
            recipe="report",
            image_size=size,
            batch_size=batch_size,
            epochs=epochs,
            learning_rate=learning_rate,
            momentum=momentum,
            weights=weights,
            protocol=protocol,
            seed=seed,
            device=device,
            sweep=sweep,
        )
        for size in sizes
    ]
    evaluate_mri(model=str(best_model(folders)), device=device)
    return show_report_tables()
