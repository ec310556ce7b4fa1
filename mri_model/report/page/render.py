"""Writes the pages: everything is escaped, and nothing is loaded from elsewhere."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader

from mri_model.files import write_text
from mri_model.quality.page import environment as quality_environment
from mri_model.report.page import charts, matrix
from mri_model.report.page.card import card_facts, limits, recipe_rows, sweep_facts
from mri_model.report.page.charts import coverage_chart, coverage_table, learning_charts, reliability
from mri_model.report.page.comparison import compare
from mri_model.report.page.contents import EvaluationReport, ModelReport, SweepReport
from mri_model.report.page.folds import fold_table, weight_table
from mri_model.report.page.image_tables import mistake_table, similarity_tables
from mri_model.report.page.matrix import confusion_matrix, largest_confusions
from mri_model.report.page.report_tables import class_bars, report_tables
from mri_model.report.page.tables import shown
from mri_model.report.page.verdict import (
    bars_note,
    calibration_text,
    headlines,
    interval_note,
    model_meaning,
    sentences,
    sweep_meaning,
    worth_table,
)
from mri_model.report.published import PublishedResults, published_results

RESULT_SECTIONS = [
    ("tables", "The six tables"),
    ("classes", "Classes"),
    ("confusion", "Confusions"),
    ("similarity", "Similarity to training"),
    ("calibration", "Calibration"),
    ("coverage", "Coverage"),
    ("mistakes", "Surest mistakes"),
]
"""Anchor and name of each section of ``results.html``."""

OLDER = "This evaluation was recorded before the answers about single images were. For this section,"


def write_model_page(report: ModelReport, out: Path) -> Path:
    """Write the page of one model. The same report gives the same bytes.

    Returns:
        ``out``.
    """
    page = environment().get_template("model.html").render(**model_parts(report), **script())
    write_text(out, page)
    return out


def write_sweep_page(report: SweepReport, out: Path) -> Path:
    """Write the page of a cross-validation. The same report gives the same bytes.

    Returns:
        ``out``.
    """
    page = environment().get_template("sweep.html").render(**sweep_parts(report), **script())
    write_text(out, page)
    return out


def write_comparison(first: ModelReport, second: ModelReport, out: Path, pages: tuple[str, str]) -> Path:
    """Write the page that puts two models side by side.

    Args:
        first, second: The models.
        out: The file to write.
        pages: Names of the models' own pages in the same folder.

    Returns:
        ``out``.
    """
    page = environment().get_template("compare.html").render(comparison=compare(first, second), pages=pages, **script())
    write_text(out, page)
    return out


def environment() -> Environment:
    """The quality report's environment, with its templates under ``quality/``; unknown names are errors."""
    jinja = quality_environment()
    quality = jinja.loader
    assert quality is not None
    own = PackageLoader("mri_model.report.page", ".")
    jinja.loader = ChoiceLoader([own, PrefixLoader({"quality": quality})])
    jinja.globals["chart_plot"] = charts
    jinja.globals["matrix_plot"] = matrix
    jinja.filters["shown"] = shown
    return jinja


def script() -> dict[str, str]:
    """The page's only script, and its hash for the content security policy: no other script runs."""
    source = files("mri_model.report.page").joinpath("script.html").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return {"script_source": source, "script_hash": digest}


def model_parts(report: ModelReport) -> dict[str, Any]:
    """The names that ``model.html`` uses."""
    model, printed = report.model, published_for(report)
    fitted = f"The temperature {model.temperature:.3f} was fitted on the validation split."
    return {
        **result_parts(report, printed, fitted, f"after, temperature {model.temperature:.2f}"),
        "model": model,
        "name": model.id,
        "newer": f"{OLDER} run: mri evaluate --model {model.id}",
        "sentences": sentences(report, model_meaning(report), printed),
        "tables": report_tables(report, printed, report.sizes),
        "intended_use": model.intended_use,
        "card": card_facts(report),
        "recipe": recipe_rows(model),
        "learning": learning_charts(report.history),
    }


def sweep_parts(report: SweepReport) -> dict[str, Any]:
    """The names that ``sweep.html`` uses."""
    printed = published_for(report)
    fitted = "Each model has a temperature of its own, fitted on its validation split."
    return {
        **result_parts(report, printed, fitted, "after calibration"),
        "name": report.sweep_id,
        "newer": f"{OLDER} run the cross-validation again with the same options",
        "sentences": sentences(report, sweep_meaning(report), printed),
        "tables": report_tables(report, printed, None),
        "folds": fold_table(report),
        "weights": weight_table(report),
        "intended_use": report.models[0].intended_use,
        "card": sweep_facts(report),
        "recipe": recipe_rows(report.models[0], without=("fold",)),
    }


def result_parts(report: EvaluationReport, printed: PublishedResults | None, fitted: str, after: str) -> dict[str, Any]:
    """The names that ``results.html`` and ``data.html`` use.

    Args:
        report: The evaluation.
        printed: The published results, None if the data has other classes.
        fitted: How the temperature was fitted.
        after: Name of the calibrated probabilities.
    """
    return {
        "report": report,
        "row": report.evaluation,
        "printed": printed,
        "headlines": headlines(report.evaluation),
        "worth": worth_table(report.evaluation, report.unit),
        "limits": limits(report),
        "interval_note": interval_note(report.unit),
        "bars_note": bars_note(report.unit),
        "result_sections": RESULT_SECTIONS,
        "matrix": confusion_matrix(report),
        "confusions": largest_confusions(report),
        "bars": class_bars(report),
        "similarities": similarity_tables(report.similarities),
        "section": report.quality,
        "exhibits": report.exhibits,
        "calibration_text": calibration_text(report.evaluation, fitted),
        **image_parts(report.images, after),
    }


def image_parts(images: pd.DataFrame, after: str) -> dict[str, Any]:
    """What rests on the answers about single images; None where they are not recorded."""
    if images.empty:
        return dict.fromkeys(("calibration", "bins", "coverage", "coverages", "mistakes"))
    return {
        "calibration": reliability(images, after),
        "bins": charts.reliability_table(images),
        "coverage": coverage_chart(images),
        "coverages": coverage_table(images),
        "mistakes": mistake_table(images),
    }


def published_for(report: EvaluationReport) -> PublishedResults | None:
    """The published results, if the data has the classes of the report."""
    found = published_results()
    return found if found.has_classes(report.classes["label"].tolist()) else None
