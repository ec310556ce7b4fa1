"""The verdict at the top of the page: how accurate the model is, and what that is worth."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from mri_model.evaluation.units import Unit
from mri_model.quality.classes import FEW_GROUPS
from mri_model.quality.wording import many
from mri_model.report.page.contents import EvaluationReport, ModelReport, SweepReport
from mri_model.report.page.tables import Column, TableView, interval, make_table, shown
from mri_model.report.published import PublishedResults

PATIENT_LEVEL = (
    "Grouped split, patient-level: the images of a patient are in one split only, and so are those that probably come "
    "from one examination. The accuracy is one on new patients of the hospitals and scanners that the data comes from."
)
"""What an accuracy under the grouped protocol means if every image has a patient."""

PROTOCOL_MEANING = {
    "random": "Random split: images of one examination may be in training and in test. The accuracy says how well "
    "the model recognizes sources that it knows, not how well it reads new patients.",
    "grouped": "Grouped split: images that probably come from one examination are in one split only. It is the "
    "closest to new patients that data without patient identifiers allows.",
    "given": "The split is the one that the data came with. The quality report below says what it leaks.",
}
"""What an accuracy under each protocol means."""

FOLD_MEANING = {
    True: "was trained without its patient. The accuracy is one on new patients of the hospitals and scanners that the "
    "data comes from.",
    False: "was trained without its group. That is the closest to new patients that data without patient identifiers "
    "allows.",
}
"""What that of a cross-validation means, by whether it is patient-level."""

PARTS = (
    ("near_duplicate", "Near duplicate in training", "pictures that it has practically seen"),
    ("similar", "In between", "as similar to a training image as images of one source are"),
    ("unlike", "Unlike any training image", "the nearest to new patients"),
    ("duplicate_free", "Nothing of its source seen", "neither a near duplicate nor an image of its group"),
)
"""Prefix of the columns of ``evaluation``, name and meaning of each part of the test images."""

TOGETHER = (
    ("examination_n", "examination_accuracy", "By examination", "images of one {unit} and class answered together"),
    ("group_n", "group_tumor_accuracy", "By {unit}, tumor alone", "all images of a {unit} answered together"),
    ("n", "tumor_accuracy", "Tumor alone", "the contrast does not count"),
    ("n", "contrast_accuracy", "Contrast alone", "the tumor does not count"),
    ("n", "top3_accuracy", "Among the three most probable", "the true class is one of three"),
    ("n", "top5_accuracy", "Among the five most probable", "the true class is one of five"),
)
"""Columns for the number and the accuracy, name and meaning; ``{unit}`` is the group or the patient."""


@dataclass(frozen=True)
class Headline:
    """One large number with its interval."""

    name: str
    value: str
    interval: str


def headlines(row: Any) -> list[Headline]:
    """Accuracy and macro-F1; ``row`` is one of the table ``evaluation``."""
    return [
        Headline("Accuracy", shown(row["accuracy"]), interval(row["accuracy_low"], row["accuracy_high"])),
        Headline("Macro-F1", shown(row["macro_f1"]), interval(row["macro_f1_low"], row["macro_f1_high"])),
    ]


def sentences(report: EvaluationReport, meaning: list[str], printed: PublishedResults | None) -> list[str]:
    """The verdict in words, the most important first; ``meaning`` says what was tested."""
    row = report.evaluation
    said = [*meaning, unlike_sentence(row)]
    said += [f"{row['n_seen']} more images were left out: the model has seen them."] if row["n_seen"] else []
    said += few_groups(report.classes, report.unit)
    if printed and not report.is_generated:
        theirs = f"The published report has accuracy {printed.accuracy:.3f} and macro-F1 {printed.macro[2]:.2f}"
        said.append(f"{theirs}, on a random split of its own.")
    if report.is_generated:
        said.insert(0, "The images are generated. These figures show that the software works, and nothing else.")
    return said


def model_meaning(report: ModelReport) -> list[str]:
    """What the accuracy of a model means."""
    if report.evaluation["split"] == "all":
        return ["All images of a data set that the model was not trained on."]
    protocol = report.model.protocol
    said = [PATIENT_LEVEL if report.is_split_by_patient else PROTOCOL_MEANING.get(protocol, f"Protocol: {protocol}.")]
    if report.model.fold:
        said.append("This model is one fold of a cross-validation; mri report SWEEP shows the pooled result.")
    return said


def interval_note(unit: Unit | None) -> str:
    """By what the intervals were drawn; ``unit`` is None where that is not known."""
    sources = "groups of images that probably have one source"
    over = {
        "group": sources,
        "patient": "patients",
        None: f"patients, if the data names the patient of every image, else over {sources}",
    }
    return f"Intervals are bootstrap intervals over {over[unit]}."


def bars_note(unit: Unit | None) -> str:
    """What the bars of the classes show."""
    counted = "The patients are those" if unit == "patient" else "Independent groups are the sources"
    return (
        f"The line over each bar is the 95 % interval over {'patients' if unit == 'patient' else 'groups'}. {counted} "
        f"of a class's test images: with five or fewer, a figure means little."
    )


def sweep_meaning(report: SweepReport) -> list[str]:
    """What the accuracy of a cross-validation means, and how much its models differ."""
    said = [
        f"Grouped cross-validation with {len(report.models)} models: each image is tested once, by the one model that "
        + FOLD_MEANING[report.is_split_by_patient],
        "The figures are those of this way to train, on data like this. They are not those of one model to use.",
    ]
    accuracies = report.folds["accuracy"]
    if len(accuracies) > 1:
        said.append(
            f"The single models have accuracies from {accuracies.min():.3f} to {accuracies.max():.3f} "
            f"(standard deviation {accuracies.std():.3f}). The interval above does not include this variation."
        )
    n_left_out = int(report.dataset.get("n_ok") or 0) - report.evaluation["n"]
    if n_left_out > 0:
        said.append(f"{many(n_left_out, 'image', 'is', 'are')} left out: the same picture is in two classes.")
    return said


def unlike_sentence(row: Any) -> str:
    if not row["unlike_n"] or row["unlike_accuracy"] is None:
        return "No test image is unlike the training images, so nothing here says how it answers on a new source."
    images = "image" if row["unlike_n"] == 1 else "images"
    return (
        f"On the {row['unlike_n']} {images} unlike any training image, the accuracy is {row['unlike_accuracy']:.3f}. "
        "Take it as an upper bound for other hospitals and scanners."
    )


def few_groups(classes: pd.DataFrame, unit: Unit | None) -> list[str]:
    """How many classes rest on few groups or patients; nothing if none does or it was not counted."""
    tested = classes[classes["support"] > 0]
    few = int((tested["n_groups"].astype(float) <= FEW_GROUPS).sum())
    if not few:
        return []
    verb = "is" if few == 1 else "are"
    sources = "patients" if unit == "patient" else "independent groups"
    return [f"{few} of {len(tested)} classes {verb} tested on {FEW_GROUPS} {sources} or fewer."]


def worth_table(row: Any, unit: Unit | None) -> TableView:
    """Accuracy on the parts of the test images, and with images answered together."""
    columns = [Column("Part or question"), Column("Accuracy", ".3f"), Column("Number", "d"), Column("Meaning")]
    rows = [
        (name, row[f"{prefix}_accuracy"], row[f"{prefix}_n"], meaning)
        for prefix, name, meaning in PARTS
        if row[f"{prefix}_n"]
    ]
    rows += [
        (name.format(unit=unit or "group"), row[accuracy], row[n], meaning.format(unit=unit or "group"))
        for n, accuracy, name, meaning in TOGETHER
        if row[accuracy] is not None
    ]
    return make_table("What the accuracy is worth", columns, rows)


def calibration_text(row: Any, fitted: str) -> str:
    """The calibration errors in words; ``fitted`` says where the temperature comes from."""
    after, before = row["calibration_error"], row["uncalibrated_error"]
    said = (
        f"Calibration error {shown(after)}; before calibration {shown(before)} (mean distance of probability and "
        f"accuracy, 0 is best). {fitted}"
    )
    if after is None or before is None or round(after - before, 3) <= 0:
        return said
    return (
        f"{said} On the test images it made the error larger: what was fitted on the validation images does not hold "
        "here. Use the probabilities to rank answers, not as the chance that an answer is right."
    )
