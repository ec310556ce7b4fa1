"""The six tables of the published report, for a model, beside the report's own numbers."""

from typing import Any

import pandas as pd

from mri_model.report.page.contents import EvaluationReport
from mri_model.report.page.tables import Bar, Column, TableView, interval, make_table, published, share
from mri_model.report.published import PublishedResults

NORMAL = "Normal"
"""What images without a tumor are called, as in the published report."""

FIGURES = ("precision", "recall", "f1")


def report_tables(
    report: EvaluationReport, printed: PublishedResults | None, sizes: pd.DataFrame | None
) -> list[TableView]:
    """Tables 1 to 6; those by contrast only if classes have one.

    Args:
        report: The evaluation.
        printed: The published results, None if the data has other classes.
        sizes: Rows of ``model``: those that differ in image size; None to leave out Table 3.
    """
    found = [
        contrast_counts(report, printed),
        tumor_counts(report, printed),
        *([size_table(sizes, printed)] if sizes is not None else []),
        average_table(report, printed),
        class_table(report, printed),
        contrast_table(report, printed),
    ]
    return [table for table in found if table.rows]


def contrast_counts(report: EvaluationReport, printed: PublishedResults | None) -> TableView:
    counts = report.dataset_classes.dropna(subset=["contrast"]).groupby("contrast")["n_ok"].sum()
    known = {row[0]: row for row in printed.table_1} if printed else {}
    return counted("Table 1. Contrast image types", "Contrast", counts, known)


def tumor_counts(report: EvaluationReport, printed: PublishedResults | None) -> TableView:
    names = report.dataset_classes["tumor"].map(tumor_name)
    counts = report.dataset_classes["n_ok"].groupby(names).sum()
    known = {row[0]: row for row in printed.table_2} if printed else {}
    note = f"{NORMAL}: images without a tumor." if NORMAL in counts.index else ""
    return counted("Table 2. Brain tumor type", "Tumor type", counts, known, note)


def tumor_name(tumor: str) -> str:
    """A tumor type apart from its class: as the folder spells it, but ``Normal`` in one spelling."""
    return NORMAL if tumor.casefold() == NORMAL.casefold() else tumor


def counted(caption: str, name: str, counts: "pd.Series[int]", known: dict[str, Any], note: str = "") -> TableView:
    """Images and percentage of each kind, most frequent first."""
    columns = [Column(name), Column("Images", "d"), Column("%", ".1f")]
    if known:
        columns += [published("Images, report", "d"), published("%, report", ".1f")]
    rows = []
    for kind, n in sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))):
        theirs = known.get(str(kind), (None, None, None))[1:] if known else ()
        rows.append((kind, int(n), share(n, counts.sum()), *theirs))
    return make_table(caption, columns, rows, note)


def size_table(sizes: pd.DataFrame, printed: PublishedResults | None) -> TableView:
    """One row per image size and source."""
    names = ("Training accuracy", "Accuracy", "Avg precision", "Avg recall", "Avg F1")
    columns = [Column("Image size", "d"), Column("Source"), Column("Batch size", "d")]
    columns += [Column(name, form) for name, form in zip(names, (".3f", ".3f", ".2f", ".2f", ".2f"), strict=True)]
    fields = ("batch_size", "train_accuracy", "val_accuracy", "val_precision", "val_recall", "val_f1")
    rows: list[tuple[Any, ...]] = [
        (int(row["image_size"]), "this system", *(row[name] for name in fields)) for row in sizes.to_dict("records")
    ]
    rows += [(row[0], "report", *row[1:]) for row in (printed.table_3 if printed else ())]
    note = "On the validation split, of the epoch that was kept. Averages are macro averages. Sizes in pixels."
    rows.sort(key=lambda row: row[0])
    return make_table("Table 3. Effect of resizing images on validation metrics", columns, rows, note)


def average_table(report: EvaluationReport, printed: PublishedResults | None) -> TableView:
    row = report.evaluation
    columns = [Column("Measure"), Column("Accuracy", ".3f")]
    columns += [Column(f"Avg {name}", ".3f") for name in ("precision", "recall", "F1")]
    if printed:
        columns += [published("Accuracy, report", ".3f")]
        columns += [published(f"Avg {name}, report", ".2f") for name in ("precision", "recall", "F1")]
    nothing = (None, None, None)
    rows: list[tuple[Any, ...]] = [("Accuracy", row["accuracy"], *nothing)]
    rows += [(f"{kind.title()} average", None, *averages(row, kind)) for kind in ("macro", "weighted")]
    if printed:
        theirs = ((printed.accuracy, *nothing), (None, *printed.macro), (None, *printed.weighted))
        rows = [(*mine, *other) for mine, other in zip(rows, theirs, strict=True)]
    return make_table("Table 4. Performance on the test set", columns, rows)


def averages(row: Any, kind: str) -> tuple[Any, ...]:
    return tuple(row[f"{kind}_{name}"] for name in FIGURES)


def class_table(report: EvaluationReport, printed: PublishedResults | None) -> TableView:
    columns = [Column("Class"), *(Column(name, ".2f") for name in ("Precision", "Recall", "F1")), Column("Images", "d")]
    theirs = {row[0]: row[1:] for row in printed.table_5} if printed else {}
    if theirs:
        columns += [published(f"{name}, report", ".2f") for name in ("Precision", "Recall", "F1")]
        columns += [published("Images, report", "d")]
    rows = [
        (row["label"], *(row[name] for name in FIGURES), int(row["support"]), *theirs.get(row["label"], ()))
        for row in by_f1(report.classes).to_dict("records")
    ]
    note = "Lowest F1 first. A class with few test images has an F1 that chance decides."
    return make_table("Table 5. Performance on the test set, by class", columns, rows, note)


def by_f1(classes: pd.DataFrame) -> pd.DataFrame:
    """Lowest rounded F1 first, then by name, as in the report."""
    return classes.assign(rounded=classes["f1"].astype(float).round(2)).sort_values(["rounded", "label"])


def contrast_table(report: EvaluationReport, printed: PublishedResults | None) -> TableView:
    columns = [Column("Contrast"), Column("Images", "d"), Column("Accuracy, %", ".1f"), Column("Macro-F1", ".3f")]
    theirs = {name: (n, accuracy) for name, n, accuracy in printed.table_6} if printed else {}
    if theirs:
        columns += [published("Images, report", "d"), published("Accuracy, %, report", ".1f")]
    rows = [
        (row["contrast"], int(row["n"]), percent(row["accuracy"]), row["macro_f1"], *theirs.get(row["contrast"], ()))
        for row in report.contrasts.to_dict("records")
    ]
    return make_table("Table 6. Accuracy by contrast image types", columns, rows)


def percent(ratio: float | None) -> float | None:
    return None if ratio is None else 100 * ratio


def class_bars(report: EvaluationReport) -> TableView:
    """F1 of each class as a bar with its interval, and on what it rests."""
    names = ("Average precision", "Images", "Patients" if report.unit == "patient" else "Independent groups")
    columns = [Column("Class"), Column("F1, with 95 % interval", "bar"), Column("F1", ".2f"), Column("95 % interval")]
    columns += [Column(name, form) for name, form in zip(names, (".2f", "d", "d"), strict=True)]
    rows = [
        (
            row["label"],
            f1_bar(row),
            row["f1"],
            interval(row["f1_low"], row["f1_high"], ".2f"),
            row["average_precision"],
            int(row["support"]),
            None if pd.isna(row["n_groups"]) else int(row["n_groups"]),
        )
        for row in by_f1(report.classes[report.classes["support"] > 0]).to_dict("records")
    ]
    return make_table("F1 by class, lowest first", columns, rows)


def f1_bar(row: Any) -> Bar:
    low, high = row["f1_low"], row["f1_high"]
    if pd.isna(low) or pd.isna(high):
        return Bar(100 * row["f1"])
    return Bar(100 * row["f1"], 100 * low, 100 * high)
