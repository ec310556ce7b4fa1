"""Results as plain text, for the terminal and for Prefect's logs."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pandas as pd

from mri_model.data.label_table import IS_LABELS
from mri_model.data.medical.choice import is_left_out
from mri_model.data.splits import SHARES
from mri_model.quality.classes import FEW_GROUPS
from mri_model.quality.report import read_quality_report
from mri_model.quality.text import describe_quality
from mri_model.quality.wording import many, visible
from mri_model.report.tables import format_table

if TYPE_CHECKING:
    from mri_model.data.manifest import Manifest
    from mri_model.evaluation.gate import Promotion
    from mri_model.evaluation.metrics import Evaluation, OverallMetrics
    from mri_model.evaluation.reevaluation import Drop, Reevaluation
    from mri_model.evaluation.units import Unit
    from mri_model.models.metadata import EpochMetrics, ModelMetadata
    from mri_model.quality.report import QualityReport
    from mri_model.scoring.run import ScoringCounts, ScoringRun
    from mri_model.training.sweep import TrainingResult

ALREADY_TRAINED = "already trained: same recipe, same manifest; for another model change --seed or the recipe"

TITLES = {
    "report-table-1": "Table 1. Contrast image types",
    "report-table-2": "Table 2. Brain tumor type",
    "report-table-3": "Table 3. Effect of resizing image on validation metrics",
    "report-table-4": "Table 4. Performance on test set",
    "report-table-5": "Table 5. Performance on test set, by class",
    "report-table-6": "Table 6. Accuracy by contrast image types",
}

MAX_REJECTED = 10
"""Rejected files shown; the manifest or the Parquet file has them all."""


def manifest_facts(manifest: "Manifest") -> dict[str, Any]:
    """What ``mri ingest --json`` prints."""
    frame, quality = manifest.frame, read_quality_report(manifest.folder)
    rejected, n_left_out = frame[frame["status"] == "rejected"], quality.files.left_out
    named = rejected[~is_left_out(rejected["reason"]) & (rejected["reason"] != IS_LABELS)]
    return {
        "manifest": manifest.digest,
        "folder": str(manifest.folder),
        "profile": manifest.profile,
        "n_files": len(frame),
        "n_ok": len(frame) - len(rejected),
        "n_rejected": len(named),
        "n_left_out": n_left_out,
        "n_classes": len(manifest.classes),
        "n_patients": quality.patients.n_patients,
        "is_patient_level": quality.patients.is_patient_level,
        "n_groups": int(frame["group"].nunique()),
        "largest_group": quality.overview.largest_group,
        "groups_by_class": quality.classes.groups,
        "n_conflicts": int(frame["conflict"].fillna(False).sum()),
        "split": {
            protocol: {split: len(manifest.partition(protocol).rows(split)) for split in SHARES}
            for protocol in manifest.protocols
        },
        "test_with_near_duplicate_in_train": {
            protocol: found.near_duplicate_in_train.share for protocol, found in quality.leakage.protocols.items()
        },
        "issues": [asdict(issue) for issue in quality.issues],
        "rejected": dict(zip(named["path"], named["reason"], strict=True)),
    }


def describe_manifest(manifest: "Manifest", page: Path) -> str:
    facts = manifest_facts(manifest)
    patients = f" of {facts['n_patients']} patients" if facts["n_patients"] else ""
    left_out = f", {facts['n_left_out']} slices left out" if facts["n_left_out"] else ""
    what = "images and files" if manifest.frame["series"].notna().any() else "files"
    lines = [
        f"{facts['n_files']} {what}: {facts['n_ok']} accepted in {facts['n_classes']} classes{patients}, "
        f"{facts['n_rejected']} rejected{left_out} (profile {facts['profile']})",
        *rejected_lines(facts["rejected"], len(facts["rejected"]), "all in the manifest"),
    ]
    lines.append(source_line(read_quality_report(manifest.folder)))
    for protocol, splits in facts["split"].items():
        is_patient_level = protocol == "grouped" and facts["is_patient_level"] and splits["test"]
        level = ", patient-level" if is_patient_level else ""
        lines.append(f"  {protocol:<8} train/val/test {'/'.join(str(n) for n in splits.values())}{level}")
    lines += [
        describe_quality(read_quality_report(manifest.folder)),
        f"manifest  {facts['folder']}",
        f"page      {page}",
    ]
    return "\n".join(lines)


def source_line(quality: "QualityReport") -> str:
    """The number of groups, of all images and of the class with the fewest."""
    overview, groups = quality.overview, quality.classes.groups
    n, images = overview.n_groups, many(quality.files.accepted, "image")
    line = f"  {n} independent {'source' if n == 1 else 'sources'} among {images}"
    if groups:
        fewest = min(groups, key=lambda label: (groups[label], label))
        line += f"; the largest has {overview.largest_group}; fewest in a class: {groups[fewest]} ({visible(fewest)})"
    return line


def rejected_lines(rejected: Mapping[str, str], n_rejected: int, rest: str) -> list[str]:
    """The first rejected files with their reasons, and how many there are beyond."""
    lines = [f"  rejected  {visible(path)}: {reason}" for path, reason in list(rejected.items())[:MAX_REJECTED]]
    if n_rejected > MAX_REJECTED:
        lines.append(f"  and {n_rejected - MAX_REJECTED} more, {rest}")
    return lines


def describe_epoch(row: "EpochMetrics") -> str:
    return (
        f"epoch {row.epoch}: train loss {row.train_loss:.3f}, accuracy {row.train_accuracy:.3f}; "
        f"validation accuracy {row.val_accuracy:.3f}, macro-F1 {row.val_f1:.3f} ({row.seconds:.0f} s)"
    )


def describe_training(result: "TrainingResult") -> str:
    """A model, a sweep of seeds, or a cross-validation."""
    if result.pooled:
        return f"{describe_evaluation(result.pooled, 'folds', str(result.sweep_id))}\npage  {result.page}"
    if result.sweep_id:
        return describe_seeds(result.sweep_id, [each.overall for each in result.evaluations])
    return f"{describe_model(result.models[0])}\nmodel  {result.folders[0]}"


def describe_model(metadata: "ModelMetadata") -> str:
    metrics = metadata.metrics
    return (
        f"best epoch {metrics.epoch} of {metadata.epochs}: validation accuracy {metrics.val_accuracy:.3f}, "
        f"macro-F1 {metrics.val_f1:.3f} ({metadata.protocol} split, weights {metadata.recipe['weights']}, "
        f"{metadata.device})"
    )


def describe_evaluation(evaluation: "Evaluation", what: str = "", name: str = "", hint: bool = True) -> str:
    """All about an evaluation for the terminal.

    Args:
        what, name: A further line, for example the sweep whose folds were pooled.
        hint: Whether to name the queries that show more; they show the latest evaluation of test images.
    """
    overall = evaluation.overall
    lines = [
        f"accuracy {overall.accuracy:.3f} ({overall.accuracy_low:.3f} to {overall.accuracy_high:.3f}), "
        f"macro-F1 {overall.macro_f1:.3f} ({overall.macro_f1_low:.3f} to {overall.macro_f1_high:.3f}) "
        f"on {overall.n} images",
        *part_lines(overall),
        *([seen_line(evaluation)] if evaluation.n_seen else []),
        f"  the 95 % intervals in parentheses are drawn by {evaluation.unit}",
        group_line(overall, evaluation.unit),
        duplicate_free_line(overall),
        *resemblance_lines(overall),
        *few_groups_lines(evaluation.classes, evaluation.unit),
        *(
            f"  {row.contrast:<5} {row.n:>5} images, accuracy {row.accuracy:.3f}, macro-F1 {row.macro_f1:.3f}"
            for row in evaluation.contrasts.itertuples()
        ),
        *([f"{what:<10}  {name}"] if what else []),
        f"evaluation  {evaluation.id}",
        *([f"more  mri query classes --model {evaluation.model_id}"] if hint and evaluation.model_id else []),
    ]
    return "\n".join(lines)


def describe_seeds(sweep_id: str, overall: "Sequence[OverallMetrics]") -> str:
    """Mean ± standard deviation (lowest to highest) over models that differ by their seed."""
    columns = {
        "accuracy": [each.accuracy for each in overall],
        "macro-F1": [each.macro_f1 for each in overall],
        "tumor alone": [each.tumor_accuracy for each in overall if each.tumor_accuracy is not None],
    }
    lines = [
        f"{name} {mean(values):.3f} ± {stdev(values):.3f} ({min(values):.3f} to {max(values):.3f})"
        for name, values in columns.items()
        if len(values) == len(overall)
    ]
    return "\n".join([*lines, f"{len(overall)} models  {sweep_id}    (each of them: mri query evaluations)"])


def part_lines(overall: "OverallMetrics") -> list[str]:
    if overall.contrast_accuracy is None:
        return []
    return [f"  tumor alone {overall.tumor_accuracy:.3f}, contrast alone {overall.contrast_accuracy:.3f}"]


def group_line(overall: "OverallMetrics", unit: "Unit") -> str:
    return (
        f"  images answered together: by examination {overall.examination_accuracy:.3f} of {overall.examination_n}, "
        f"tumor by {unit} {overall.group_tumor_accuracy:.3f} of {overall.group_n}"
    )


def resemblance_lines(overall: "OverallMetrics") -> list[str]:
    """Accuracy by resemblance to the training images: memory of a source against answers on new ones."""
    parts = [
        f"{accuracy:.3f} on {n} {what}"
        for n, accuracy, what in (
            (overall.near_duplicate_n, overall.near_duplicate_accuracy, "images with a near duplicate in training"),
            (overall.unlike_n, overall.unlike_accuracy, "unlike any training image"),
        )
        if accuracy is not None
    ]
    lines = ["  " + ", ".join(parts)] if parts else []
    if overall.similar_accuracy is not None:
        lines.append(f"  {overall.similar_accuracy:.3f} on {overall.similar_n} images in between")
    return lines


def few_groups_lines(classes: "pd.DataFrame", unit: "Unit") -> list[str]:
    """How many classes have figures that rest on few independent groups or patients, or none at all."""
    tested = classes["support"] > 0
    few, none = int((tested & (classes["n_groups"] <= FEW_GROUPS)).sum()), int((~tested).sum())
    of = f"{few} of {len(classes)} classes {'is' if few == 1 else 'are'}"
    sources = "patients" if unit == "patient" else "independent groups"
    lines = [f"  {of} tested on {FEW_GROUPS} {sources} or fewer: such a figure means little"] if few else []
    return [*lines, f"  {none} of {len(classes)} classes have no image here"] if none else lines


def seen_line(evaluation: "Evaluation") -> str:
    return f"  left out: {evaluation.n_seen} more images of this split, which the model was trained on or chosen by"


def duplicate_free_line(overall: "OverallMetrics") -> str:
    if overall.duplicate_free_accuracy is None:
        return "  the model has seen a near duplicate, or another image of the source, of every image"
    accuracy, macro_f1 = overall.duplicate_free_accuracy, overall.duplicate_free_macro_f1
    return (
        f"  neither a near duplicate nor its source seen by the model: accuracy {accuracy:.3f}, "
        f"macro-F1 {macro_f1:.3f} on {overall.duplicate_free_n}"
    )


def describe_reevaluation(found: "Reevaluation") -> str:
    """What is as it was, and what is not is said by an error."""
    lines = [describe_evaluation(found.evaluation)]
    if found.repetition:
        same = found.repetition.n - found.repetition.n_changed
        lines.append(f"again  {same} of {found.repetition.n} answers as in {found.repetition.last_id}")
    if found.arrived:
        seen = f"; {found.arrived.n_seen} more left out, which the model was trained on or chosen by"
        lines += [
            f"arrived  {found.arrived.id}",
            f"  {many(found.arrived.overall.n, 'image')} evaluated" + (seen if found.arrived.n_seen else ""),
            *drop_lines(found.drop),
        ]
    return "\n".join(lines)


def drop_lines(drop: "Drop | None") -> list[str]:
    """Accuracy on arrived images beside that on the test split."""
    from mri_model.evaluation.reevaluation import MIN_GROUPS, MIN_IMAGES

    if drop is None:
        return ["  none of them is new and of a class that the test split has: nothing is compared"]
    few = f"too few to judge: {MIN_IMAGES} images of {MIN_GROUPS} {drop.unit}s are needed"
    return [
        f"  accuracy {drop.accuracy:.3f} on {many(drop.n, 'image')} of {many(drop.n_groups, drop.unit)}, "
        "new and of a class that the test split has",
        f"  accuracy {drop.expected:.3f} in the test split with the same mix of classes",
        f"  {few if drop.p_value is None else f'p = {drop.p_value:.4f}'}",
    ]


def describe_promotion(promotion: "Promotion") -> str:
    """The champion now and, if the gate compared it, by how much it differs from the one before."""
    if promotion.verdict is None:
        return f"model {promotion.model_id} is the champion already: nothing was recorded"
    lines = [
        f"champion  {promotion.model_id}",
        *([f"retired   {promotion.retired}"] if promotion.retired else []),
        "evaluation and scoring use the champion; who changed it and why: mri query history",
    ]
    if found := promotion.verdict.difference:
        lines.insert(
            0,
            f"accuracy {found.accuracy:+.3f} ({found.accuracy_low:+.3f} to {found.accuracy_high:+.3f}), "
            f"macro-F1 {found.macro_f1:+.3f} ({found.macro_f1_low:+.3f} to {found.macro_f1_high:+.3f}) "
            f"on {found.n} images, {found.changed} answers differ",
        )
    return "\n".join(lines)


def describe_deletion(facts: Mapping[str, Any]) -> str:
    """What goes, or has gone; ``facts`` is what ``mri delete --json`` prints."""
    others = [each for each in (*facts["models"], *facts["sweeps"]) if each != facts["id"]]
    lacking = "the models" if len(facts["models"]) > 1 else "the model"
    return "\n".join(
        [
            f"{facts['kind']} {facts['id']}",
            *(f"  with {each}" for each in others),
            *(f"  with the pooled evaluation of {each}: {lacking} is a part of it" for each in facts["pooled"]),
            *(f"  {n:>7} {'row' if n == 1 else 'rows'} of {table}" for table, n in facts["rows"].items()),
            *(f"  {path}" for path in facts["files"]),
            *(f"  not below MRI_HOME: left alone  {path}" for path in facts["outside"]),
            *([f"its history of {many(facts['kept'], 'row')} is kept: mri query history"] if facts["kept"] else []),
            "deleted" if facts["deleted"] else "nothing is deleted yet: run it again with --yes",
        ]
    )


SERIES_STATUSES = ("scored", "abstained", "rejected")


def describe_scoring(scored: "ScoringRun") -> str:
    counts, series, n_left_out = scored.counts, scored.series, scored.reasons.n_left_out
    files = "files" if series.empty else "files and slices"
    lines: list[str] = [
        f"{count_line(counts, files, n_left_out)}; {counts.n_reused} of them known from an earlier run",
        *([] if series.empty else [f"series  {series_line(series)}    (mri query series)"]),
        *rejected_lines(scored.reasons.named, scored.n_failed, "all in the Parquet file"),
        *(drift_lines(*scored.drift, scored.model_id) if scored.drift else []),
        f"scores  {scored.parquet}    (lowest confidence first: mri query predictions)",
    ]
    return "\n".join(lines)


def count_line(counts: "ScoringCounts", files: str = "files", n_left_out: int = 0) -> str:
    """``100 files: 90 scored, 2 abstained, 8 rejected``; slices left out by choice are named apart."""
    left_out = f", {n_left_out} slices left out" if n_left_out else ""
    return (
        f"{counts.n_found} {files}: {counts.n_scored} scored, {counts.n_abstained} abstained, "
        f"{counts.n_rejected - n_left_out} rejected{left_out}"
    )


def series_line(series: pd.DataFrame) -> str:
    """``12 series: 10 scored, 1 abstained, 1 rejected``."""
    counts = series["status"].value_counts()
    return f"{len(series)} series: " + ", ".join(f"{counts.get(each, 0)} {each}" for each in SERIES_STATUSES)


def describe_series(scored: "ScoringRun") -> str:
    """The series of a run as a table."""
    return format_table(series_table(scored.series))


def series_table(series: pd.DataFrame) -> pd.DataFrame:
    """The columns of a series that say whose it is and what the model answers."""
    used = series["n_scored"] + series["n_abstained"]
    slices = used.astype(str) + " of " + series["n_images"].astype(str)
    return series.assign(slices=slices)[["patient", "series", "slices", "status", "label", "probability"]]


def drift_lines(state: str, reason: str, model_id: str) -> list[str]:
    """Whether new images differ from the validation images."""
    more = f"; see: mri query scored-drift --model {model_id}" if state == "yes" else ""
    text = f"drift   {state}: {reason}{more}"
    return textwrap.wrap(text, 100, subsequent_indent=8 * " ", break_on_hyphens=False)


def scoring_facts(scored: "ScoringRun") -> dict[str, Any]:
    """What ``mri score --json`` prints."""
    facts = {"run": scored.run_id, "model": scored.model_id, "parquet": str(scored.parquet), **asdict(scored.counts)}
    drift, drift_reason = scored.drift or (None, None)
    return {**facts, "reasons": dict(scored.reasons.counts), "drift": drift, "drift_reason": drift_reason}


def describe_report(tables: Mapping[str, pd.DataFrame]) -> str:
    """The report's tables with their titles."""
    return "\n\n".join(f"{TITLES[name]}\n{format_table(table)}" for name, table in tables.items())
