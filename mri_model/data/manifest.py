"""The manifest: one Parquet table that says what every file found is, and on which side of each split it stands."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mri_model.data.inventory import Inventory
from mri_model.data.split import PROTOCOLS, split
from mri_model.data.twins import find_twins
from mri_model.errors import MriError
from mri_model.files import atomic, digest_of, read_json, write_json
from mri_model.labels import Label, parse_label
from mri_model.progress import Tick, silent

SCHEMA_VERSION = 1

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # POSIX, relative to the data root
        pa.field("sha256", pa.string(), nullable=False),  # empty where the bytes could not be read
        pa.field("n_bytes", pa.int64(), nullable=False),
        pa.field("extension", pa.string(), nullable=False),  # as spelt, with its dot
        pa.field("format", pa.string()),  # as the content says: JPEG, WEBP, …
        pa.field("height", pa.int32()),  # pixels, as decoded
        pa.field("width", pa.int32()),
        pa.field("channels", pa.int8()),  # as decoded: 3
        pa.field("stored_channels", pa.int8()),
        pa.field("label", pa.string()),
        pa.field("tumor", pa.string()),
        pa.field("contrast", pa.string()),
        pa.field("status", pa.string(), nullable=False),  # ok, rejected
        pa.field("reason", pa.string()),
        pa.field("group", pa.int64()),
        pa.field("n_twins", pa.int64()),
        pa.field("conflict", pa.bool_()),
        pa.field("split_random", pa.string()),  # train, val, test
        pa.field("split_grouped", pa.string()),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """A manifest as read from its folder. ``classes`` is the frozen class order; ``root`` is where the files lie."""

    frame: pd.DataFrame
    classes: tuple[str, ...]
    digest: str
    data_digest: str
    profile: str
    seed: int
    root: Path
    folder: Path

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(parse_label(name) for name in self.classes)

    def side(self, protocol: str, side: str) -> pd.DataFrame:
        """The rows of one side (``train``/``val``/``test``) of a protocol, sorted by path."""
        if protocol not in PROTOCOLS:
            raise MriError(f"there is no protocol {protocol!r}", f"use one of {', '.join(PROTOCOLS)}")
        return self.frame[self.frame[f"split_{protocol}"] == side]

    def twin_free(self, protocol: str, side: str) -> pd.Series:
        """For each row of ``side``: whether no image of its group is trained on."""
        trained_groups = self.side(protocol, "train")["group"]
        return ~self.side(protocol, side)["group"].isin(trained_groups)


def write_manifest(inventory: Inventory, manifests: Path, seed: int = 0, tick: Tick = silent) -> Manifest:
    """Group, split and write an inventory to ``manifests/<digest>/manifest.parquet``; ``validation.json`` beside it.

    The digest covers rows, classes, profile and seed, and nothing of the machine.
    """
    frame = split(find_twins(inventory.frame, inventory.thumbnails, tick), seed)
    classes = sorted(frame.loc[frame["status"] == "ok", "label"].unique())
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "profile": inventory.profile.name,
        "seed": seed,
        "classes": classes,
        "data_digest": digest_of(table.select(["path", "sha256"]).to_pylist()),
    }
    digest = digest_of([facts, table.to_pylist()])
    folder = manifests / digest
    metadata = {"mri": json.dumps({**facts, "digest": digest}, ensure_ascii=False)}
    with atomic(folder / "manifest.parquet") as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    if inventory.validation:
        write_json(folder / "validation.json", inventory.validation)
    source = {"root": str(inventory.root.resolve()), "ingested_at": datetime.now(UTC).isoformat()}
    write_json(folder / "source.json", source)
    return read_manifest(folder)


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest folder. Raises MriError where it is missing or from another schema."""
    file = folder / "manifest.parquet"
    if not file.is_file():
        raise MriError(f"there is no manifest in {folder}", "run: mri ingest DATA")
    try:
        table = pq.read_table(file)
        source = read_json(folder / "source.json")
        root = Path(source["root"])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        raise MriError(f"the manifest in {folder} is damaged", f"delete {folder} and run: mri ingest DATA") from None
    facts = json.loads((table.schema.metadata or {}).get(b"mri", b"{}"))
    if facts.get("schema_version") != SCHEMA_VERSION:
        raise MriError(f"{file} has another schema than this version reads", "run: mri ingest DATA")
    return Manifest(
        frame=table.to_pandas(),
        classes=tuple(facts["classes"]),
        digest=facts["digest"],
        data_digest=facts["data_digest"],
        profile=facts["profile"],
        seed=facts["seed"],
        root=root,
        folder=folder,
    )


def read_validation(folder: Path) -> dict[str, Any] | None:
    """The verdict kept beside a manifest."""
    file = folder / "validation.json"
    return read_json(file) if file.is_file() else None


def find_manifest(manifests: Path, name: str = "latest") -> Manifest:
    """``latest``, a digest (or the start of one), or the path of a manifest folder or of its Parquet file."""
    path = Path(name)
    if path.name == "manifest.parquet" or (path / "manifest.parquet").is_file():
        return read_manifest(path.parent if path.name == "manifest.parquet" else path)
    folders = [file.parent for file in manifests.glob("*/source.json")]
    if name == "latest":
        if not folders:
            raise MriError("nothing has been ingested yet", "run: mri ingest DATA")
        return read_manifest(max(folders, key=lambda folder: (folder / "source.json").stat().st_mtime_ns))
    matches = [folder for folder in folders if folder.name.startswith(name)]
    if len(matches) != 1:
        raise MriError(f"{len(matches)} manifests match {name!r}", f"look in {manifests}, or use latest")
    return read_manifest(matches[0])


def class_table(manifest: Manifest) -> pd.DataFrame:
    """One row a class in frozen order: label, tumor, contrast, and the number of images on each side."""
    ok = manifest.frame[manifest.frame["status"] == "ok"]
    table = pd.DataFrame(
        [(i, label.name, label.tumor, label.contrast) for i, label in enumerate(manifest.labels)],
        columns=["position", "label", "tumor", "contrast"],
    )
    table["n_ok"] = ok["label"].value_counts().reindex(table["label"], fill_value=0).to_numpy()
    for protocol, suffix in (("random", ""), ("grouped", "_grouped")):
        for side in ("train", "val", "test"):
            counts = manifest.side(protocol, side)["label"].value_counts()
            table[f"n_{side}{suffix}"] = counts.reindex(table["label"], fill_value=0).to_numpy()
    return table
