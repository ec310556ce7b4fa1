"""The manifest: a Parquet table with one row per file, with its facts, group and splits."""

import json
import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mri_model.data.decode import load_content
from mri_model.data.hidden_paths import read_table, revealed
from mri_model.data.inventory import RuleResult, Validation
from mri_model.data.labels import Label, parse_label
from mri_model.data.medical.slices import Slice, split_slice
from mri_model.data.medical.window import PERCENTILES
from mri_model.data.near_duplicates import NearDuplicates
from mri_model.data.splits import GIVEN, PROTOCOLS, fold_splits
from mri_model.errors import MriError
from mri_model.files import read_json

SCHEMA_VERSION = 6
"""Version of the columns in ``SCHEMA``, of the file's metadata and of the files beside it."""

PRIVATE = "private"
"""Folder beside that of the manifests: the key, and what keyed hashes stand for."""

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # POSIX, relative to the data root
        pa.field("sha256", pa.string(), nullable=False),  # empty where the bytes could not be read
        pa.field("n_bytes", pa.int64(), nullable=False),
        pa.field("extension", pa.string(), nullable=False),  # as in the file name, with its dot
        pa.field("format", pa.string()),  # read from the content: JPEG, WEBP, …
        pa.field("height", pa.int32()),  # pixels, upright
        pa.field("width", pa.int32()),
        pa.field("channels", pa.int8()),  # as decoded: 3
        pa.field("stored_channels", pa.int8()),
        pa.field("pixel_crc32", pa.string()),  # equal if the grey pixels are equal
        pa.field("label", pa.string()),
        pa.field("tumor", pa.string()),
        pa.field("contrast", pa.string()),
        pa.field("patient", pa.string()),  # folder below the class folder, where the class level is given
        pa.field("status", pa.string(), nullable=False),  # ok, rejected
        pa.field("reason", pa.string()),
        pa.field("group", pa.int64()),
        pa.field("n_near_duplicates", pa.int64()),
        pa.field("conflict", pa.bool_()),
        pa.field("turned_family", pa.int64()),  # shared by mirrored and turned copies; null: no such copy
        pa.field("augmented_family", pa.int64()),  # shared by an original and its augmented copies
        pa.field("split_random", pa.string()),  # train, val, test
        pa.field("split_grouped", pa.string()),
        pa.field("split_given", pa.string()),  # null if the data came without a split
    ]
)

EXAMINATION_SCHEMA = pa.schema(
    [
        pa.field("series", pa.string()),  # keyed hash of the DICOM series, or of a NIfTI file's path
        pa.field("window", pa.string()),  # how it was made 8 bits: file window, file LUT, percentiles, as stored
        pa.field("window_low", pa.float64()),  # the value that is shown black; null for a LUT and as stored
        pa.field("window_high", pa.float64()),  # the value that is shown white
        pa.field("contrast_hint", pa.string()),  # what the DICOM header says about the contrast
        pa.field("burned_in", pa.string()),  # yes, no or missing: what it says about text in the pixels
    ]
)
"""Further columns of a data set with DICOM or NIfTI; the file of another one does not have them."""


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read from its folder.

    Attributes:
        frame: One row per image or rejected file, sorted by file (columns: ``SCHEMA`` and ``EXAMINATION_SCHEMA``).
        classes: The frozen class order.
        digest: Identifies rows, classes, profile and seed; independent of the machine.
        data_digest: Identifies the files alone (path and SHA-256).
        profile: Name of the profile.
        seed: Seed of the splits.
        root: Folder below which the files lie.
        folder: Folder the manifest was read from.
        hidden: What the hashes stand for, if paths are keyed hashes (``hidden_paths``).
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    digest: str
    data_digest: str
    profile: str
    seed: int
    root: Path
    folder: Path
    hidden: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes in order, split into tumor and contrast."""
        return tuple(parse_label(name) for name in self.classes)

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that this data set can be split by."""
        return (*PROTOCOLS, GIVEN) if self.frame[f"split_{GIVEN}"].notna().any() else PROTOCOLS

    def file_of(self, path: str, series: str | None = None) -> Path:
        """The file of an image of the manifest, by its path and series."""
        name = image_file(path, series)
        return self.root / (revealed(self.hidden, name) if self.hidden is not None else name)

    def shown_file(self, path: str, series: str | None = None) -> str:
        """``file_of`` for messages: without what paths hide."""
        return path if self.hidden is not None else str(self.file_of(path, series))

    @property
    def shown_root(self) -> str:
        """The root as it is recorded: its keyed hash if paths are hidden."""
        if self.hidden is None:
            return str(self.root)
        return next((name for name, path in self.hidden.items() if path == str(self.root)), "hidden")

    def class_indices(self, labels: pd.Series) -> np.ndarray:
        """Position of each label in the class order: int64 of shape (n,), -1 for unknown labels."""
        return pd.Index(self.classes).get_indexer(pd.Index(labels)).astype(np.int64)

    def partition(self, protocol: str, folds: int = 0, fold: int = 0) -> "Partition":
        """The train, val and test images of a protocol, or of one fold of grouped cross-validation.

        Args:
            protocol: ``random``, ``grouped`` or ``given``.
            folds: Number of folds, 0 for the protocol's own split.
            fold: Number of the fold, from 1. It is the test split.

        Raises:
            MriError: If the protocol is unknown, if the data did not come in a split, or if there are fewer groups than
                folds.
        """
        if protocol not in self.protocols:
            why = "the data did not come in folders for training and test" if protocol == GIVEN else "no such protocol"
            raise MriError(f"there is no protocol {protocol!r}: {why}", f"use one of {', '.join(self.protocols)}")
        if folds:
            return Partition(self, protocol, fold_splits(self.frame, folds, fold, self.seed))
        return Partition(self, protocol, self.frame[f"split_{protocol}"])


def changed_files(manifest: Manifest, paths: Iterable[str]) -> list[str]:
    """Those of some files of a manifest that are gone from its folder, or have other bytes than when it was ingested.

    None if the whole folder is gone: then nothing can be said.
    """
    if not manifest.root.is_dir():
        return []
    rows = manifest.frame[manifest.frame["path"].isin(set(paths))]
    files = [manifest.file_of(path, series) for path, series in zip(rows["path"], rows["series"], strict=True)]
    found = {file: load_content(os.fsencode(file)).sha256 for file in dict.fromkeys(files)}
    return [
        path for path, sha256, file in zip(rows["path"], rows["sha256"], files, strict=True) if found[file] != sha256
    ]


def image_file(path: str, series: str | None) -> str:
    """The file of an image: without the slice that the path of a DICOM or NIfTI picture may have."""
    return split_slice(path)[0] if isinstance(series, str) else path


def slice_of(row: Mapping[Hashable, Any]) -> Slice:
    """What decoding a DICOM or NIfTI picture needs, by its row of a manifest."""
    is_given = row["window"] == PERCENTILES or row["format"] == "NIfTI"
    window = (float(row["window_low"]), float(row["window_high"])) if is_given else None
    return Slice(split_slice(row["path"])[1], window)


@dataclass(frozen=True)
class Partition:
    """Which images of a manifest are trained on, validated on and tested on.

    A partition has no digest of its own: ``manifest.digest`` identifies the data; protocol and fold identify the
    partition.

    Attributes:
        manifest: The manifest that is split.
        protocol: ``random``, ``grouped`` or ``given``.
        split_of: ``train``, ``val``, ``test`` or null for each row of ``manifest.frame``.
    """

    manifest: Manifest
    protocol: str
    split_of: pd.Series

    def rows(self, split: str) -> pd.DataFrame:
        """The manifest's rows of one split (``train``/``val``/``test``), sorted by path; may be empty."""
        return self.manifest.frame[self.split_of == split]


def read_near_duplicates(manifest: Manifest) -> NearDuplicates:
    """Read the pairs of a manifest, as positions in its frame.

    Raises:
        MriError: If the file is missing, damaged or belongs to another manifest.
    """
    file = manifest.folder / "near_duplicates.parquet"
    try:
        pairs = pq.read_table(file, columns=["first", "second", "correlation"], read_dictionary=["first", "second"])
        accepted = manifest.frame.loc[manifest.frame["status"] == "ok", "path"]
        first, second = (rows_of_paths(pairs[column], accepted) for column in ("first", "second"))
        complete = json.loads((pairs.schema.metadata or {}).get(b"complete", b"true"))
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise MriError(f"{file} is missing or damaged", "run: mri ingest DATA") from None
    return NearDuplicates(first, second, pairs["correlation"].to_numpy(), complete)


def rows_of_paths(paths: pa.ChunkedArray, accepted: pd.Series) -> np.ndarray:
    """int32 row numbers of dictionary-encoded paths.

    Args:
        paths: The dictionary may hold more paths than occur, those of rejected files among them.
        accepted: Paths of the accepted rows, indexed by row number.

    Raises:
        KeyError: If a path is not one of an accepted row.
    """
    if not len(paths):
        return np.empty(0, np.int32)
    encoded = paths.combine_chunks() if paths.num_chunks != 1 else paths.chunk(0)
    places = pd.Index(accepted).get_indexer(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]
    if (places < 0).any():
        raise KeyError("a pair names a file that was not accepted")
    return accepted.index.to_numpy(np.int32)[places]


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest folder.

    Raises:
        MriError: If the manifest is missing, damaged or has another schema version.
    """
    if not (folder / "manifest.parquet").is_file():
        raise MriError(f"there is no manifest in {folder}", "run: mri ingest DATA")
    try:
        source = read_json(folder / "source.json")
        root, hidden = source["root"], read_table(folder.parent.parent / PRIVATE) if source.get("hidden") else None
        place = Path(root if hidden is None else revealed(hidden, root))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise damaged(folder) from None
    return replace(read_manifest_file(folder, place), hidden=hidden)


def read_manifest_file(folder: Path, root: Path) -> Manifest:
    """Read ``manifest.parquet`` of a folder, whose files lie below ``root``.

    Raises:
        MriError: If it is damaged or has another schema version.
    """
    file = folder / "manifest.parquet"
    try:
        table = pq.read_table(file)
        facts = json.loads((table.schema.metadata or {}).get(b"mri", b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        raise damaged(folder) from None
    if facts.get("schema_version") != SCHEMA_VERSION:
        raise MriError(f"{file} was written by another version of this program", "run: mri ingest DATA")
    return Manifest(
        frame=with_examination(table).to_pandas(),
        classes=tuple(facts["classes"]),
        digest=facts["digest"],
        data_digest=facts["data_digest"],
        profile=facts["profile"],
        seed=facts["seed"],
        root=root,
        folder=folder,
    )


def with_examination(table: pa.Table) -> pa.Table:
    """A manifest's table with the columns that only DICOM and NIfTI fill."""
    for column in EXAMINATION_SCHEMA:
        if column.name not in table.column_names:
            table = table.append_column(column, pa.nulls(len(table), column.type))
    return table


def damaged(folder: Path) -> MriError:
    """The error for a manifest folder that cannot be read."""
    return MriError(f"the manifest in {folder} is damaged", f"delete {folder} and run: mri ingest DATA")


def read_validation(folder: Path) -> Validation | None:
    """The validation result of a manifest; None if it was not validated. Raises MriError if it is damaged."""
    file = folder / "validation.json"
    if not file.is_file():
        return None
    try:
        stored = read_json(file)
        rules = tuple(RuleResult(each["rule"], each["success"], tuple(each["offenders"])) for each in stored["rules"])
        return Validation(**{**stored, "rules": rules})
    except (OSError, ValueError, KeyError, TypeError):
        raise MriError(f"{file} is damaged", f"delete {folder} and run: mri ingest DATA") from None


def find_manifest(manifests: Path, name: str = "latest") -> Manifest:
    """Read the manifest that a user names.

    Args:
        manifests: Folder of all manifests.
        name: ``latest``, a digest or the start of one, or the path of a manifest folder or of its Parquet file.

    Raises:
        MriError: If nothing has been ingested yet, if not exactly one manifest matches, or if it is damaged.
    """
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
