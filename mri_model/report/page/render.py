"""Writes the pages: everything is escaped, and nothing is loaded from elsewhere."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader

from mri_model.files import write_text
from mri_model.quality.page import environment as quality_environment
from mri_model.report.page import charts, matrix
from mri_model.report.page.card import LIMITS, card_facts, recipe_rows
from mri_model.report.page.charts import Chart, coverage_chart, coverage_table, learning_charts, reliability
from mri_model.report.page.comparison import compare
from mri_model.report.page.contents import ModelReport
from mri_model.report.page.image_tables import mistake_table, similarity_tables
from mri_model.report.page.matrix import confusion_matrix, largest_confusions
from mri_model.report.page.report_tables import class_bars, report_tables
from mri_model.report.page.tables import shown
from mri_model.report.page.verdict import headlines, sentences, worth_table
from mri_model.report.published import PublishedResults, published_results


def write_model_page(report: ModelReport, out: Path) -> Path:
    """Write the page of one model. The same report gives the same bytes.

    Returns:
        ``out``.
    """
    page = environment().get_template("model.html").render(**model_parts(report), **script())
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
    printed = published_for(report)
    return {
        "report": report,
        "model": report.model,
        "row": report.evaluation,
        "printed": printed,
        "headlines": headlines(report.evaluation),
        "sentences": sentences(report, printed),
        "worth": worth_table(report.evaluation),
        "limits": LIMITS,
        "card": card_facts(report),
        "recipe": recipe_rows(report),
        "tables": report_tables(report, printed),
        "matrix": confusion_matrix(report),
        "confusions": largest_confusions(report),
        "bars": class_bars(report),
        "learning": learning_charts(report.history),
        "similarities": similarity_tables(report.similarities),
        "section": report.quality,
        "exhibits": report.exhibits,
        **image_parts(report),
    }


def image_parts(report: ModelReport) -> dict[str, Any]:
    """What rests on the answers about single images; None where they are not recorded."""
    images = report.images
    if images.empty:
        return dict.fromkeys(("calibration", "bins", "coverage", "coverages", "mistakes"))
    calibration: Chart = reliability(images, report.model.temperature)
    return {
        "calibration": calibration,
        "bins": charts.reliability_table(images),
        "coverage": coverage_chart(images),
        "coverages": coverage_table(images),
        "mistakes": mistake_table(images),
    }


def published_for(report: ModelReport) -> PublishedResults | None:
    """The published results, if the data has the classes of the report."""
    found = published_results()
    return found if found.has_classes(report.classes["label"].tolist()) else None
