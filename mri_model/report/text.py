"""What people read at the end of a command."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pandas as pd

from mri_model.quality.text import describe_quality
from mri_model.quality.wording import visible

if TYPE_CHECKING:
    from mri_model.data.manifest import Manifest
    from mri_model.evaluation.metrics import Evaluation
    from mri_model.scoring.run import Scored

ALREADY_TRAINED = "already trained: same recipe, same manifest; for another, change --seed or the recipe"

TITLES = {
    "report-table-1": "Table 1. Contrast image types",
    "report-table-2": "Table 2. Brain tumor type",
    "report-table-3": "Table 3. Effect of resizing image on validation metrics",
    "report-table-4": "Table 4. Performance on test set",
    "report-table-5": "Table 5. Performance on test set, by class",
    "report-table-6": "Table 6. Accuracy by contrast image types",
}


def manifest_facts(manifest: "Manifest") -> dict[str, Any]:
    from mri_model.quality.report import read_quality_report

    frame, quality = manifest.frame, read_quality_report(manifest.folder)
    rejected = frame[frame["status"] == "rejected"]
    return {
        "manifest": manifest.digest,
        "folder": str(manifest.folder),
        "profile": manifest.profile,
        "n_files": len(frame),
        "n_ok": len(frame) - len(rejected),
        "n_rejected": len(rejected),
        "n_classes": len(manifest.classes),
        "n_groups": int(frame["group"].nunique()),
        "n_conflicts": int(frame["conflict"].fillna(False).sum()),
        "split": {
            protocol: {split: len(manifest.partition(protocol).rows(split)) for split in ("train", "val", "test")}
            for protocol in ("random", "grouped")
        },
        "test_with_near_duplicate_in_train": {
            protocol: found.near_duplicate_in_train.share for protocol, found in quality.leakage.protocols.items()
        },
        "issues": [asdict(issue) for issue in quality.issues],
        "rejected": dict(zip(rejected["path"], rejected["reason"], strict=True)),
    }


def describe_manifest(manifest: "Manifest", page: Path, most: int = 10) -> str:
    from mri_model.quality.report import read_quality_report

    facts = manifest_facts(manifest)
    lines = [
        f"{facts['n_files']} files: {facts['n_ok']} accepted in {facts['n_classes']} classes, "
        f"{facts['n_rejected']} rejected (profile {facts['profile']})",
        *(f"  rejected  {visible(path)}: {reason}" for path, reason in list(facts["rejected"].items())[:most]),
    ]
    if facts["n_rejected"] > most:
        lines.append(f"  … and {facts['n_rejected'] - most} more, all in the manifest")
    for protocol, splits in facts["split"].items():
        lines.append(f"  {protocol:<8} train/val/test {'/'.join(str(n) for n in splits.values())}")
    lines += [
        describe_quality(read_quality_report(manifest.folder)),
        f"manifest  {facts['folder']}",
        f"page      {page}",
    ]
    return "\n".join(lines)


def describe_epoch(row: Mapping[str, Any]) -> str:
    return (
        f"epoch {row['epoch']}: train loss {row['train_loss']:.3f}, accuracy {row['train_accuracy']:.3f}; "
        f"validation accuracy {row['val_accuracy']:.3f}, macro-F1 {row['val_f1']:.3f} ({row['seconds']:.0f} s)"
    )


def describe_model(metadata: Mapping[str, Any], folder: Path) -> str:
    metrics = metadata["metrics"]
    return (
        f"best epoch {metrics['epoch']} of {metadata['epochs']}: validation accuracy {metrics['val_accuracy']:.3f}, "
        f"macro-F1 {metrics['val_f1']:.3f} ({metadata['protocol']} split, weights {metadata['recipe']['weights']}, "
        f"{metadata['device']})\nmodel  {folder}"
    )


def describe_evaluation(evaluation_id: str, evaluation: "Evaluation") -> str:
    overall = evaluation.overall
    lines = [
        f"{with_interval('accuracy', 'accuracy', overall)}, {with_interval('macro-F1', 'macro_f1', overall)} "
        f"on {overall['n']} images",
        *parts_line(overall),
        duplicate_free_line(overall),
        *(
            f"  {row.contrast:<5} {row.n:>5} images, accuracy {row.accuracy:.3f}, macro-F1 {row.macro_f1:.3f}"
            for row in evaluation.contrasts.itertuples()
        ),
        f"evaluation  {evaluation_id}    (per class: mri query report-table-5)",
    ]
    return "\n".join(lines)


def describe_series(sweep: str, overall: Sequence[Mapping[str, Any]]) -> str:
    """Mean ± standard deviation over models that differ by their seed."""
    lines = [
        f"{name} {mean(values):.3f} ± {stdev(values):.3f} ({min(values):.3f} to {max(values):.3f})"
        for name, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1"), ("tumor alone", "tumor_accuracy"))
        if None not in (values := [row[key] for row in overall])
    ]
    return "\n".join([*lines, f"{len(overall)} models  {sweep}    (each of them: mri query evaluations)"])


def with_interval(name: str, key: str, overall: Mapping[str, Any]) -> str:
    return f"{name} {overall[key]:.3f} ({overall[key + '_low']:.3f} to {overall[key + '_high']:.3f})"


def parts_line(overall: Mapping[str, Any]) -> list[str]:
    if overall["contrast_accuracy"] is None:
        return []
    return [f"  tumor alone {overall['tumor_accuracy']:.3f}, contrast alone {overall['contrast_accuracy']:.3f}"]


def duplicate_free_line(overall: Mapping[str, Any]) -> str:
    if overall["duplicate_free_accuracy"] is None:
        return "  no image without a near copy in training"
    return (
        f"  without near copies in training: accuracy {overall['duplicate_free_accuracy']:.3f}, "
        f"macro-F1 {overall['duplicate_free_macro_f1']:.3f} on {overall['duplicate_free_n']} images"
    )


def describe_scored(scored: "Scored", most: int = 10) -> str:
    counts = scored.counts
    rejected = scored.rows[scored.rows["status"] == "rejected"]
    lines = [
        f"{counts['n_found']} files: {counts['n_scored']} scored, {counts['n_abstained']} abstained, "
        f"{counts['n_rejected']} rejected; {counts['n_reused']} of them known from an earlier run",
        *(f"  rejected  {visible(row['path'])}: {row['reason']}" for row in rejected.head(most).to_dict("records")),
    ]
    if len(rejected) > most:
        lines.append(f"  … and {len(rejected) - most} more")
    lines.append(f"scores  {scored.parquet}    (lowest confidence first: mri query predictions)")
    return "\n".join(lines)


def show_table(table: pd.DataFrame) -> str:
    """Fixed-width text; a column of fractions shows the same number of decimals in every row, four at the most."""
    if table.empty:
        return "(no rows)"
    shown = {name: aligned(column) if pd.api.types.is_float_dtype(column) else column for name, column in table.items()}
    plain = pd.DataFrame(shown).astype(object)
    return plain.where(table.notna(), "").to_string(index=False)


def aligned(column: pd.Series) -> pd.Series:
    decimals = max((len(f"{value:.4f}".rstrip("0").partition(".")[2]) for value in column.dropna()), default=0)
    return column.map(lambda value: f"{value:.{decimals}f}", na_action="ignore").astype(object)


def report_tables(tables: Mapping[str, pd.DataFrame]) -> str:
    return "\n\n".join(f"{TITLES[name]}\n{show_table(table)}" for name, table in tables.items())
