"""ingest-mri: folder → validated manifest."""

from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from tasks import ingest as tasks
from tasks.states import plainly


@flow(name="ingest-mri")
@plainly
def ingest_mri(
    data: Path,
    profile: str = "auto",
    seed: Annotated[int, Field(ge=0)] = 0,
    on_invalid: Literal["fail", "quarantine"] = "fail",
) -> str:
    """Read and validate every file below a folder, split 70/15/15, write the manifest; returns its digest.

    Args:
        data: Folder that holds one folder a class.
        profile: What the data must look like: auto, a shipped profile's name, or a TOML file.
        seed: Decides the split.
        on_invalid: What to do when a rule is broken: fail, or quarantine the offending files and go on.
    """
    inventory = tasks.take_inventory(data, profile)
    manifest = tasks.find_ingested(inventory, seed)
    if manifest is None:
        inventory = tasks.validate(inventory, on_invalid)
        manifest = tasks.write_manifest(inventory, seed)
    tasks.write_quality_report(inventory, manifest, seed)
    tasks.record_dataset(manifest)
    tasks.show_ingestion(manifest)
    return manifest.digest
