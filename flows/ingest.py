"""ingest-mri: folder → validated manifest."""

from pathlib import Path

from prefect import flow

from mri_model import api
from mri_model.options import OnInvalid
from mri_model.settings import load_settings
from tasks.parameters import ClassLevel, Seed, with_parameters
from tasks.runner import TaskRunner
from tasks.states import plain_failures


@flow(name="ingest-mri")
@plain_failures
@with_parameters()
def ingest_mri(
    data: Path,
    profile: str = "auto",
    seed: Seed = 0,
    on_invalid: OnInvalid = "fail",
    class_level: ClassLevel = 0,
    class_map: dict[str, str] | None = None,
    labels: Path | None = None,
    hash_paths: bool = False,
) -> str:
    """Read and validate every file below a folder, split 70/15/15, write the manifest; returns its digest."""
    settings, run = load_settings(), TaskRunner()
    return api.ingest(settings, data, profile, seed, on_invalid, class_level, class_map, labels, hash_paths, run).digest
