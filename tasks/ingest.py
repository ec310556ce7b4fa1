"""Tasks of ingestion."""

from pathlib import Path

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from mri_model import api
from mri_model.data import inventory as library
from mri_model.data import manifest as manifests
from mri_model.data.inventory import Inventory
from mri_model.data.manifest import Manifest
from mri_model.quality.report import read_quality_report
from mri_model.quality.text import quality_markdown, quality_table
from mri_model.report.text import manifest_facts
from mri_model.settings import Settings
from tasks.artifacts import show_markdown, show_table, shown_progress


@task(name="take inventory", cache_policy=NO_CACHE)
def take_inventory(data: Path, profile: str) -> Inventory:
    with shown_progress("inventory-progress") as progress:
        return library.take_inventory(data, profile, progress=progress, cache=Settings().cache)


@task(name="find ingested", cache_policy=NO_CACHE)
def find_ingested(inventory: Inventory, seed: int) -> Manifest | None:
    return manifests.find_ingested(inventory, Settings().manifests, seed)


@task(name="validate", cache_policy=NO_CACHE)
def validate(inventory: Inventory, on_invalid: str) -> Inventory:
    return api.check(Settings(), inventory, on_invalid)


@task(name="write manifest", cache_policy=NO_CACHE)
def write_manifest(inventory: Inventory, seed: int) -> Manifest:
    with shown_progress("manifest-progress") as progress:
        return manifests.write_manifest(inventory, Settings().manifests, seed, progress)


@task(name="write quality report", cache_policy=NO_CACHE)
def write_quality_report(inventory: Inventory, manifest: Manifest, seed: int) -> Path:
    api.write_quality_report(manifest, inventory.thumbnails)
    manifests.mark_ingested(manifest.folder, inventory, seed)
    return api.write_quality_page(Settings(), inventory, manifest)


@task(name="record data set", cache_policy=NO_CACHE)
def record_dataset(manifest: Manifest) -> None:
    api.record_dataset(Settings(), manifest)


@task(name="show ingestion", cache_policy=NO_CACHE)
def show_ingestion(manifest: Manifest) -> None:
    rules = (manifests.read_validation(manifest.folder) or {}).get("rules", [])
    verdicts = pd.DataFrame([{**rule, "offenders": len(rule["offenders"])} for rule in rules])
    show_table("validation", verdicts, "Great Expectations' verdict, rule by rule")
    facts = {key: str(value) for key, value in manifest_facts(manifest).items() if key != "rejected"}
    show_table("manifest", pd.DataFrame(facts.items(), columns=["fact", "value"]), f"Manifest {manifest.digest}")
    quality = read_quality_report(manifest.folder)
    show_table("quality", quality_table(quality), "How far a score on this data set can be believed")
    show_markdown("quality-issues", quality_markdown(quality), "What to know before training on this data set")
    for issue in quality.issues:
        if issue.level == "serious":
            get_run_logger().warning("%s %s", issue.text, issue.advice)
    rejected = manifest.frame.loc[manifest.frame["status"] == "rejected", ["path", "reason"]]
    show_table("rejected-files", rejected, f"{len(rejected)} files were rejected")
