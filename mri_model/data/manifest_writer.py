"""Write a manifest: group, split and record an inventory, or find the manifest that it gave before."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mri_model.data.agreement import read_agreements, write_agreements
from mri_model.data.comparison import compare_images
from mri_model.data.fingerprints import read_fingerprints, write_fingerprints
from mri_model.data.inventory import Inventory
from mri_model.data.manifest import (
    EXAMINATION_SCHEMA,
    SCHEMA,
    SCHEMA_VERSION,
    Manifest,
    read_manifest,
    read_manifest_file,
    read_near_duplicates,
)
from mri_model.data.near_duplicates import NearDuplicates, pair_kinds
from mri_model.data.profile import profile_toml
from mri_model.data.splits import add_splits
from mri_model.errors import MriError
from mri_model.files import atomic, digest_of, read_json, write_json, write_text
from mri_model.progress import ProgressCallback, no_progress

INGEST_VERSION = 6
"""Version of labels, learnt profiles, validation rules, near duplicates, groups and splits.

Raise it whenever one of these changes: an unchanged folder is then ingested again. ``tests/golden`` fails if it is
forgotten."""


def write_manifest(
    inventory: Inventory, manifests: Path, seed: int = 0, progress: ProgressCallback = no_progress
) -> Manifest:
    """Group, split and write an inventory to ``manifests/<digest>/``.

    Writes the pairs of near duplicates, fingerprints, agreement curves, the validation result, the profile and the
    table. The folder counts as ingested only after ``mark_ingested``. The digest depends on rows, classes, profile and
    seed, not on the machine.

    Args:
        inventory: A validated inventory.
        manifests: Folder of all manifests.
        seed: Seed of the splits.
        progress: Called with the stage ``compare``.
    """
    compared = compare_images(inventory.named, inventory.fingerprints, progress)
    frame = add_splits(compared.frame.assign(path=inventory.frame["path"]), seed)
    table = pa.Table.from_pandas(frame, schema=schema_of(frame), preserve_index=False)
    facts = manifest_facts(inventory, table, seed)
    digest = digest_of_rows(facts, table)
    folder = manifests / digest
    write_near_duplicates(folder, frame, compared.near_duplicates)
    write_fingerprints(folder, inventory.fingerprints)
    write_agreements(folder, compared.agreements)
    if inventory.validation:
        write_json(folder / "validation.json", asdict(inventory.validation))
    write_text(folder / "profile.toml", profile_toml(inventory.profile))
    metadata = {"mri": json.dumps({**facts, "digest": digest}, ensure_ascii=False)}
    with atomic(folder / "manifest.parquet") as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    return replace(read_manifest_file(folder, inventory.root.resolve()), hidden=inventory.hidden)


def schema_of(frame: pd.DataFrame) -> pa.Schema:
    """The columns of a manifest file."""
    return pa.unify_schemas([SCHEMA, EXAMINATION_SCHEMA]) if frame["series"].notna().any() else SCHEMA


def manifest_facts(inventory: Inventory, table: pa.Table, seed: int) -> dict[str, Any]:
    """Contents of the file's metadata, without the digest of the manifest."""
    accepted = table.filter(pc.field("status") == "ok")
    return {
        "schema_version": SCHEMA_VERSION,
        "profile": inventory.profile.name,
        "seed": seed,
        "classes": sorted(set(accepted["label"].to_pylist())),
        "data_digest": digest_of_rows({}, table.select(["path", "sha256"])),
    }


def digest_of_rows(facts: dict[str, Any], table: pa.Table) -> str:
    """``digest_of`` of facts and all rows. Only 4096 rows are converted to Python objects at a time."""
    return digest_of([facts, *(digest_of(batch.to_pylist()) for batch in table.to_batches(max_chunksize=4096))])


def write_near_duplicates(folder: Path, frame: pd.DataFrame, duplicates: NearDuplicates) -> None:
    """Write ``near_duplicates.parquet``: ``first`` and ``second`` (paths), ``correlation``, ``kind`` of each pair."""
    paths = pa.array(frame["path"], pa.string()).dictionary_encode()
    pairs = pa.table(
        {
            "first": paths.take(pa.array(duplicates.first)),
            "second": paths.take(pa.array(duplicates.second)),
            "correlation": pa.array(duplicates.correlation, pa.float32()),
            "kind": pa.array(pair_kinds(frame, duplicates), pa.string()),
        },
        metadata={"complete": json.dumps(duplicates.complete)},
    )
    with atomic(folder / "near_duplicates.parquet") as temporary:
        pq.write_table(pairs, temporary)


def mark_ingested(manifest: Manifest, inventory: Inventory) -> None:
    """Write ``source.json``, which marks the manifest as complete and as the latest.

    It is the only file of a manifest that differs between machines.
    """
    valid = inventory.validation is None or inventory.validation.success
    source = {
        "root": manifest.shown_root,
        "hidden": manifest.hidden is not None,
        "ingested_at": datetime.now(UTC).isoformat(),
        # data that broke a rule must be validated again
        "inputs": inputs_digest(inventory, manifest.seed) if valid else None,
    }
    write_json(manifest.folder / "source.json", source)


def inputs_digest(inventory: Inventory, seed: int) -> str:
    """Identifies the inputs of a manifest: files, profile, seed, and the versions of what is done with them."""
    names = ("path", "sha256", "label", "patient", "status", "reason")
    columns = {name: inventory.frame[name].astype(str).tolist() for name in names}
    return digest_of([columns, asdict(inventory.profile), seed, SCHEMA_VERSION, INGEST_VERSION])


def find_ingested(inventory: Inventory, manifests: Path, seed: int = 0) -> Manifest | None:
    """The manifest of an earlier ingestion with the same inputs; None if there is none or it is damaged."""
    inputs = inputs_digest(inventory, seed)
    for file in sorted(manifests.glob("*/source.json")):
        try:
            if read_json(file).get("inputs") == inputs:
                manifest = read_manifest(file.parent)
                check_complete(manifest)
                return replace(manifest, root=inventory.root.resolve(), hidden=inventory.hidden)
        except (MriError, OSError, ValueError, AttributeError):  # damaged: it will be written again
            continue
    return None


def check_complete(manifest: Manifest) -> None:
    """Check the other files of a manifest. Raises MriError if one is missing or damaged."""
    read_near_duplicates(manifest)
    read_fingerprints(manifest.folder, len(manifest.frame))
    read_agreements(manifest.folder)
    for name in ("validation.json", "profile.toml"):
        if not (manifest.folder / name).is_file():
            raise MriError(f"{manifest.folder / name} is missing", "run: mri ingest DATA")
