"""The rows of a scoring run on disk: a Parquet file for each shard while it runs, and one for the whole run."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from mri_model.data.medical.choice import LEFT_OUT
from mri_model.files import atomic

MOMENT = pa.timestamp("us", "UTC")

SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("model_id", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("label", pa.string()),
        ("tumor", pa.string()),
        ("contrast", pa.string()),
        ("probability", pa.float64()),
        ("tumor_probability", pa.float64()),
        ("contrast_probability", pa.float64()),
        ("top5", pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())]))),
        ("distance", pa.float64()),
        ("prediction_set", pa.list_(pa.string())),
        ("risk", pa.float64()),
        ("seconds", pa.float64()),
        ("scored_at", MOMENT),
        ("series", pa.string()),
        ("patient", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
    ]
)
"""Columns of a Parquet file of scores; those of the table ``prediction``."""

FINGERPRINT = "fingerprint"

PART_SCHEMA = SCHEMA.append(pa.field(FINGERPRINT, pa.binary()))
"""Columns of a part: until the run is finished, the images that are compared with the validation images keep theirs."""

MOST_NAMED = 100


@dataclass
class Reasons:
    """Why files have no label.

    Attributes:
        counts: Reason → number of files.
        named: Path → reason of the first ones, without slices that are left out by choice.
    """

    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, str] = field(default_factory=dict)

    @property
    def n_left_out(self) -> int:
        """Number of slices that are left out by choice."""
        return sum(n for reason, n in self.counts.items() if reason.startswith(LEFT_OUT))

    def add(self, rows: pa.Table) -> None:
        for row in rows.select(["path", "status", "reason"]).to_pylist():
            if row["status"] == "rejected":
                self.counts[row["reason"]] += 1
                if len(self.named) < MOST_NAMED and not row["reason"].startswith(LEFT_OUT):
                    self.named[row["path"]] = row["reason"]


SERIES_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("run_id", "series", "model_id", "patient")),
        *(pa.field(name, pa.int64()) for name in ("n_images", "n_scored", "n_abstained", "n_rejected")),
        *(pa.field(name, pa.string()) for name in ("status", "reason", "label", "tumor", "contrast")),
        *(pa.field(name, pa.float64()) for name in ("probability", "tumor_probability", "contrast_probability")),
        SCHEMA.field("top5"),
        ("distance", pa.float64()),
        ("risk", pa.float64()),
        ("scored_at", MOMENT),
    ]
)
"""Columns of a Parquet file of series; those of the table ``series_prediction``."""


def series_file(parquet: Path) -> Path:
    """Where the series of a run are, beside its file of scores; there is none if it has no series."""
    return parquet.with_suffix(".series.parquet")


def write_series(parquet: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the series of a run beside its file of scores, if there are any."""
    if rows:
        with atomic(series_file(parquet)) as temporary:
            pq.write_table(pa.Table.from_pylist(list(rows), SERIES_SCHEMA), temporary)


def part_file(folder: Path, number: int, fence: int) -> Path:
    return folder / f"part-{number:06d}-{fence}.parquet"


def write_part(
    file: Path, rows: Iterable[Mapping[str, Any]], order: Sequence[str], fingerprints: Mapping[str, bytes]
) -> None:
    """Write the rows of a shard, in the order of its files.

    Args:
        rows: Rows of ``prediction``; other columns are left out.
        order: The path of each file of the shard.
        fingerprints: Path → fingerprint of the images that are compared with the validation images.
    """
    by_path = {str(row["path"]): {name: row[name] for name in SCHEMA.names} for row in rows}
    written = [by_path[path] | {FINGERPRINT: fingerprints.get(path)} for path in order]
    with atomic(file) as temporary:
        pq.write_table(pa.Table.from_pylist(written, PART_SCHEMA), temporary)


def merge_parts(files: Iterable[Path], target: Path, look: Callable[[pa.Table], None]) -> None:
    """Write all parts as one file, a part at a time.

    Args:
        look: Called with the rows of each part.

    Raises:
        FileNotFoundError: If a part is missing.
    """
    with atomic(target) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        for file in files:
            rows = pq.read_table(file, columns=SCHEMA.names, schema=PART_SCHEMA)
            look(rows)
            writer.write_table(rows)


def read_described(files: Iterable[Path], run_id: str, seen: Collection[str], most: int) -> pa.Table:
    """The rows with a fingerprint that a run has scored itself, a part at a time.

    Args:
        seen: Digests of files that do not count.
        most: Of more rows those with the smallest digests are taken.

    Raises:
        FileNotFoundError: If a part is missing.
    """
    columns = ["sha256", "path", "label", "probability", "distance", FINGERPRINT]
    chosen = (pc.field("run_id") == run_id) & pc.field("label").is_valid() & pc.field(FINGERPRINT).is_valid()
    known = pa.array(sorted(seen), pa.string())
    rows = pa.schema([PART_SCHEMA.field(name) for name in columns]).empty_table()
    for file in files:
        part = pq.read_table(file, columns=columns, schema=PART_SCHEMA, filters=chosen)
        part = part.filter(pc.invert(pc.is_in(part["sha256"], known)))
        rows = pa.concat_tables([rows, part]).sort_by([("sha256", "ascending"), ("path", "ascending")])[:most]
    return rows


def read_reasons(parquet: Path) -> Reasons:
    reasons = Reasons()
    for rows in row_groups(parquet):
        reasons.add(rows)
    return reasons


def write_csv(parquet: Path, target: Path) -> None:
    """Write a file of scores as CSV, a row group at a time.

    The labels of a prediction set are joined by ``"; "``; ``top5`` and ``probabilities``, which are no single values,
    are left out.
    """
    columns = [name for name in SCHEMA.names if name not in ("top5", "probabilities")]
    at = columns.index("prediction_set")
    schema = pa.schema([SCHEMA.field(name) for name in columns]).set(at, pa.field("prediction_set", pa.string()))
    with atomic(target) as temporary, pyarrow.csv.CSVWriter(temporary, schema) as writer:
        for rows in row_groups(parquet):
            joined = pc.binary_join(rows["prediction_set"], "; ")
            writer.write_table(rows.select(columns).set_column(at, schema.field(at), joined))


def row_groups(parquet: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(parquet) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)
