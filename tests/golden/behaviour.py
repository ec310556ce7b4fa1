"""Today's behaviour on the files in ``images``, as digests, and the digests recorded for each version constant."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mri_model.data.cache import ARRAYS, DECODERS
from mri_model.data.decode import DECODE_VERSION, content_of, decode
from mri_model.data.inventory import Inventory, take_inventory
from mri_model.data.manifest import SCHEMA_VERSION, Manifest
from mri_model.data.manifest_writer import INGEST_VERSION, write_manifest
from mri_model.data.reading import facts_of
from mri_model.data.validation import enforce, validate
from mri_model.quality.report import QUALITY_VERSION, write_quality_report

HERE = Path(__file__).parent
IMAGES = HERE / "images"
EXPECTED = HERE / "expected.json"
PROFILES = ("auto", str(HERE / "profile.toml"))

Parts = dict[str, str]
"""Digest of each part of a behaviour by the part's name, so that a failure can name what changed."""


@dataclass(frozen=True)
class Behaviour:
    """What one or more version constants stand for.

    Attributes:
        constants: Names and values of the version constants.
        measure: Computes the digests; it may write into the folder that it is given.
    """

    constants: dict[str, int]
    measure: Callable[[Path], Parts]

    @property
    def version(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.constants.items())


def digest(value: Any) -> str:
    """SHA-256, 12 hex digits, of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def digest_of_array(array: np.ndarray | None) -> str | None:
    """SHA-256 of shape, type and contents; None without an array."""
    if array is None:
        return None
    text = f"{array.shape} {array.dtype}".encode()
    return hashlib.sha256(text + np.ascontiguousarray(array).tobytes()).hexdigest()


def measure_decoding(_: Path) -> Parts:
    """Facts, thumbnail and colour pixels of every file."""
    parts = {}
    for file in sorted(path for path in IMAGES.rglob("*") if path.is_file()):
        content = content_of(file.read_bytes())
        facts = facts_of(decode(content, grey=True))
        fields = asdict(facts) | {name: digest_of_array(getattr(facts, name)) for name in ARRAYS}
        parts[file.relative_to(IMAGES).as_posix()] = digest([fields, digest_of_array(decode(content).pixels)])
    return parts


def measure_ingestion(folder: Path) -> Parts:
    """Columns of the manifest, pairs, profile and rules, with a learnt profile and with one that the files break."""
    parts = {}
    for profile in PROFILES:
        manifest, inventory = ingest(folder, profile)
        name = inventory.profile.name
        table = pq.read_table(manifest.folder / "manifest.parquet")
        parts |= {f"{name}: column {column}": digest(table[column].to_pylist()) for column in table.column_names}
        parts[f"{name}: classes"] = digest(manifest.classes)
        parts[f"{name}: agreement"] = digest(
            json.loads((manifest.folder / "agreement.json").read_text(encoding="utf-8"))
        )
        parts[f"{name}: pairs"] = digest(pq.read_table(manifest.folder / "near_duplicates.parquet").to_pylist())
        parts[f"{name}: profile"] = digest((manifest.folder / "profile.toml").read_text(encoding="utf-8"))
        parts |= {f"{name}: rule: {each.rule}": digest(asdict(each)) for each in inventory.validation.rules}
    return parts


def measure_quality(folder: Path) -> Parts:
    """Every top-level entry of ``quality.json`` but the version."""
    manifest, inventory = ingest(folder, PROFILES[0])
    write_quality_report(manifest, inventory.fingerprints)
    report = json.loads((manifest.folder / "quality.json").read_text(encoding="utf-8"))
    return {name: digest(value) for name, value in report.items() if name != "version"}


def ingest(folder: Path, profile: str) -> tuple[Manifest, Inventory]:
    """The manifest of ``IMAGES``, written below ``folder``, and the inventory with the files that broke a rule."""
    inventory = take_inventory(IMAGES, profile)
    inventory = enforce(replace(inventory, validation=validate(inventory)), "quarantine")
    return write_manifest(inventory, folder), inventory


BEHAVIOURS = {
    "decoding": Behaviour({"DECODE_VERSION": DECODE_VERSION}, measure_decoding),
    "ingestion": Behaviour(
        {"SCHEMA_VERSION": SCHEMA_VERSION, "INGEST_VERSION": INGEST_VERSION, "DECODE_VERSION": DECODE_VERSION},
        measure_ingestion,
    ),
    "quality": Behaviour({"QUALITY_VERSION": QUALITY_VERSION, "INGEST_VERSION": INGEST_VERSION}, measure_quality),
}


def decoders() -> dict[str, str]:
    """Installed versions of the libraries that decode: they may change pixels, and are part of the cache's key."""
    return {name: version(name) for name in DECODERS}


def read_expected() -> dict[str, Any]:
    """``{"decoders": {name: version}, behaviour: {"version": text, "parts": {part: digest}}}``."""
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


def differences(name: str, parts: Parts, expected: Parts) -> str:
    """Why a measured behaviour is not the recorded one and what to do; empty if it is."""
    changed = sorted(part for part in parts.keys() | expected.keys() if parts.get(part) != expected.get(part))
    if not changed:
        return ""
    return (
        f"behaviour changed: raise {' or '.join(BEHAVIOURS[name].constants)} "
        f"and run python -m tests.golden.update. Changed: {'; '.join(changed)}"
    )
