"""The manifest: one Parquet table that says what every file found is, and on which side of each split it stands."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mri_model.data.inventory import Inventory
from mri_model.data.split import PROTOCOLS, fold_sides, split
from mri_model.data.trust import trust_report
from mri_model.data.twins import Twins, find_twins, pair_kinds
from mri_model.errors import MriError
from mri_model.files import atomic, digest_of, read_json, write_json, write_text
from mri_model.labels import Label, parse_label
from mri_model.profile import profile_toml
from mri_model.progress import Tick, silent

SCHEMA_VERSION = 2

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
        pa.field("pixel_crc32", pa.string()),  # of reading.cell_sums: equal where grey pixels are, whatever the bytes
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

    def of_fold(self, folds: int, fold: int) -> "Manifest":
        """The same manifest with its grouped split replaced by one fold (from 1) of cross-validation: that fold is the
        test side, the next one validation. As it is where ``folds`` is 0."""
        if not folds:
            return self
        return replace(self, frame=self.frame.assign(split_grouped=fold_sides(self.frame, folds, fold, self.seed)))

    def twin_free(self, protocol: str, side: str) -> pd.Series:
        """For each row of ``side``: whether no image of its group is trained on."""
        trained_groups = self.side(protocol, "train")["group"]
        return ~self.side(protocol, side)["group"].isin(trained_groups)


def write_manifest(inventory: Inventory, manifests: Path, seed: int = 0, tick: Tick = silent) -> Manifest:
    """Group, split and write an inventory to ``manifests/<digest>/``: ``manifest.parquet``, ``twins.parquet``,
    ``validation.json``, ``trust.json``, ``profile.toml``; last ``source.json``, which says that all of it is there.

    The digest covers rows, classes, profile and seed, and nothing of the machine.
    """
    frame, twins = find_twins(inventory.frame, inventory.thumbnails, tick)
    frame = split(frame, seed)
    classes = sorted(frame.loc[frame["status"] == "ok", "label"].unique())
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "profile": inventory.profile.name,
        "seed": seed,
        "classes": classes,
        "data_digest": digest_of_rows({}, table.select(["path", "sha256"])),
    }
    digest = digest_of_rows(facts, table)
    folder = manifests / digest
    metadata = {"mri": json.dumps({**facts, "digest": digest}, ensure_ascii=False)}
    with atomic(folder / "manifest.parquet") as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    write_twins(folder, frame, twins)
    if inventory.validation:
        write_json(folder / "validation.json", inventory.validation)
    write_text(folder / "profile.toml", profile_toml(inventory.profile))
    write_json(folder / "trust.json", trust_report(frame, inventory.thumbnails, twins))
    write_source(folder, inventory, seed)
    return read_manifest(folder)


def digest_of_rows(facts: dict[str, Any], table: pa.Table) -> str:
    """``digest_of`` of facts and of all rows, a few rows in memory at a time."""
    return digest_of([facts, *(digest_of(batch.to_pylist()) for batch in table.to_batches(max_chunksize=4096))])


def write_twins(folder: Path, frame: pd.DataFrame, twins: Twins) -> None:
    """One row for each pair that looks alike: ``first``, ``second`` (paths), ``correlation``, ``kind``."""
    paths = pa.array(frame["path"], pa.string()).dictionary_encode()
    pairs = pa.table(
        {
            "first": paths.take(pa.array(twins.first)),
            "second": paths.take(pa.array(twins.second)),
            "correlation": pa.array(twins.correlation, pa.float32()),
            "kind": pa.array(pair_kinds(frame, twins), pa.string()),
        },
        metadata={"complete": json.dumps(twins.complete)},
    )
    with atomic(folder / "twins.parquet") as temporary:
        pq.write_table(pairs, temporary)


def read_twins(manifest: "Manifest") -> Twins:
    """The pairs kept beside a manifest, as positions in its frame."""
    try:
        pairs = pq.read_table(manifest.folder / "twins.parquet", columns=["first", "second", "correlation"])
    except (pa.ArrowException, OSError, ValueError):
        raise MriError(f"{manifest.folder / 'twins.parquet'} is missing or damaged", "run: mri ingest DATA") from None
    accepted = manifest.frame[manifest.frame["status"] == "ok"]
    positions = pd.Series(accepted.index, accepted["path"])
    first, second = (positions[pairs[side].to_pylist()].to_numpy(np.int32) for side in ("first", "second"))
    complete = json.loads((pairs.schema.metadata or {}).get(b"complete", b"true"))
    return Twins(first, second, pairs["correlation"].to_numpy(), complete)


def write_source(folder: Path, inventory: Inventory, seed: int) -> None:
    """Where and when: the only file of a manifest that differs between two machines."""
    valid = inventory.validation is None or inventory.validation["success"]
    source = {
        "root": str(inventory.root.resolve()),
        "ingested_at": datetime.now(UTC).isoformat(),
        "inputs": inputs_digest(inventory, seed) if valid else None,  # what broke a rule is judged again
    }
    write_json(folder / "source.json", source)


def inputs_digest(inventory: Inventory, seed: int) -> str:
    """What a manifest follows from: files, profile, seed and this code."""
    columns = {name: inventory.frame[name].astype(str).tolist() for name in ("path", "sha256", "status", "reason")}
    code = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(Path(__file__).parent.glob("*.py"))]
    return digest_of([columns, asdict(inventory.profile), seed, code])


def find_ingested(inventory: Inventory, manifests: Path, seed: int = 0) -> Manifest | None:
    """The manifest that an unchanged folder gave before, and makes it the latest again."""
    inputs = inputs_digest(inventory, seed)
    for file in sorted(manifests.glob("*/source.json")):
        try:
            if read_json(file).get("inputs") == inputs:
                manifest = read_manifest(file.parent)
                check_complete(manifest)
                write_source(file.parent, inventory, seed)
                return replace(manifest, root=inventory.root.resolve())
        except (MriError, OSError, ValueError, AttributeError):  # damaged: it is written anew
            continue
    return None


def check_complete(manifest: Manifest) -> None:
    """Raise MriError where a file beside the manifest is missing or damaged."""
    read_trust(manifest.folder)
    read_twins(manifest)
    for name in ("validation.json", "profile.toml"):
        if not (manifest.folder / name).is_file():
            raise MriError(f"{manifest.folder / name} is missing", "run: mri ingest DATA")


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


def read_trust(folder: Path) -> dict[str, Any]:
    """The trust report kept beside a manifest (see ``trust.trust_report``). Raises MriError where it is damaged."""
    try:
        trust = read_json(folder / "trust.json")
        if isinstance(trust, dict) and {"findings", "protocols", "copies", "conflicts"} <= trust.keys():
            return trust
    except (OSError, ValueError):
        pass
    raise MriError(f"{folder / 'trust.json'} is missing or damaged", "run: mri ingest DATA")


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
