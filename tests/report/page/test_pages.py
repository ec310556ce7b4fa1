"""The pages as text: what they say, that they need nothing else, and that names do nothing."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mri_model.evaluation.bootstrap import MIN_GROUPS
from mri_model.evaluation.comparison import compare
from mri_model.quality.page import quality_section
from mri_model.quality.report import quality_report as measure_quality
from mri_model.report.page.contents import Exhibit, Exhibits, ModelReport, Picture, SweepReport
from mri_model.report.page.render import write_comparison, write_model_page, write_sweep_page
from mri_model.report.page.tables import formatted
from tests.quality.samples import certain, data_set, noise, pairs
from tests.report.page.samples import CLASSES, PLAIN_CLASSES, metadata, model_report, sweep_report

HOSTILE = "x\n<script>alert(1)</script>\" onerror='alert(1) {{ 7 * 7 }} \x1b[31m\u202e&lt;"
VOID = {"meta", "img", "link", "br"}


class Seen(HTMLParser):
    """Tags, attributes and texts of a page; the tags must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += [] if self.open[-1:] in (["style"], ["script"]) else [data]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def values(self, name: str) -> list[str | None]:
        return [value for key, value in self.attributes if key == name]


def written(report: ModelReport, folder: Path) -> str:
    return write_model_page(report, folder / "model.html").read_text(encoding="utf-8")


def compared(first: ModelReport, second: ModelReport, folder: Path) -> str:
    out = write_comparison(first, second, folder / "compare.html", ("a.html", "b.html"))
    return out.read_text(encoding="utf-8")


def pooled(report: SweepReport, folder: Path) -> str:
    return write_sweep_page(report, folder / "sweep.html").read_text(encoding="utf-8")


def made(make: str, folder: Path) -> str:
    """A page of each kind."""
    if make == "sweep":
        return pooled(sweep_report(), folder)
    other = model_report(seed=1)
    return written(other, folder) if make == "model" else compared(model_report(), other, folder)


def test_the_page_says_what_the_model_is_worth(tmp_path: Path) -> None:
    report = model_report()
    seen = Seen(written(report, tmp_path))
    row = report.evaluation
    for words in (
        f"{row['accuracy']:.3f}",
        f"95 % interval {row['macro_f1_low']:.3f} to {row['macro_f1_high']:.3f}",
        "Random split: images of one examination may be in training and in test",
        f"On the {row['unlike_n']} images unlike any training image, the accuracy is {row['unlike_accuracy']:.3f}",
        "44 of 44 classes are tested on 5 independent groups or fewer",
        "The published report has accuracy 0.836 and macro-F1 0.76",
        "Near duplicate in training",
        "By examination",
        "By group, tumor alone",
    ):
        assert words in seen.text


def of_patients(report: ModelReport, **changes: Any) -> ModelReport:
    """The same answers on the data of patients whom the files name, under the grouped protocol."""
    data = data_set(certain().assign(**changes), noise(120), pairs())
    images = report.images.assign(patient=[f"p{row // 3}" for row in range(len(report.images))])
    model = replace(report.model, protocol="grouped")
    section = quality_section(measure_quality(data), data, with_images=False)
    return replace(report, model=model, images=images, quality=section)


def test_the_page_says_patient_level_and_intervals_over_patients_if_every_image_has_a_patient(tmp_path: Path) -> None:
    text = Seen(written(of_patients(model_report()), tmp_path)).text
    for words in (
        "Grouped split, patient-level: the images of a patient are in one split only",
        "Intervals are bootstrap intervals over patients.",
        "The line over each bar is the 95 % interval over patients.",
        "44 of 44 classes are tested on 5 patients or fewer",
        "By patient, tumor alone",
        "The grouped split is patient-level: 120 images of 24 patients",
        "So do all images of a patient.",
    ):
        assert words in text
    assert "may be in training and in test" not in text and "Independent groups are" not in text


def test_the_page_does_not_say_patient_level_otherwise(tmp_path: Path) -> None:
    partly = of_patients(model_report(), series=[None, *(f"s{row // 3}" for row in range(1, 120))])
    random = replace(of_patients(model_report()), model=model_report().model)
    other_data = of_patients(model_report())
    other_data = replace(other_data, evaluation={**other_data.evaluation, "dataset_digest": "d2"})
    for report, limit in (
        (partly, "Not every image says who its patient is: images of one patient may be in training and in test."),
        (random, "Patients were not kept apart: images of one patient may be in training and in test."),
        (other_data, "Patients were not kept apart: images of one patient may be in training and in test."),
        (model_report(), "The data has no patient identifiers: images of one patient may be in training and in test."),
    ):
        text = Seen(written(report, tmp_path)).text
        assert "Grouped split, patient-level" not in text and limit in text


def test_the_page_names_the_unit_of_the_intervals_as_far_as_it_is_known(tmp_path: Path) -> None:
    report = model_report()
    over = "over groups of images that probably have one source."
    assert f"Intervals are bootstrap intervals {over}" in Seen(written(report, tmp_path)).text
    without_manifest = replace(report, images=report.images.drop(columns="patient"))
    told = f"Intervals are bootstrap intervals over patients, if the data names the patient of every image, else {over}"
    assert told in Seen(written(without_manifest, tmp_path)).text


def test_a_cross_validation_of_patients_says_so(tmp_path: Path) -> None:
    whole, sweep = of_patients(model_report()), sweep_report()
    text = Seen(pooled(replace(sweep, images=whole.images, quality=whole.quality), tmp_path)).text
    assert "the one model that was trained without its patient." in text
    assert "without its group" not in text and "may be in training and in test" not in text
    assert "without its group" in Seen(pooled(sweep, tmp_path)).text


def test_models_are_compared_by_patient_where_every_image_has_one(tmp_path: Path) -> None:
    first, second = of_patients(model_report(skill=0.2)), of_patients(model_report(skill=0.9))
    text = Seen(compared(first, second, tmp_path)).text
    assert ", by patient; permutation test" in text and "Intervals are drawn by patient" in text
    assert f"of fewer than {MIN_GROUPS} patients has no interval" in text


def test_the_model_card_is_complete(tmp_path: Path) -> None:
    text = Seen(written(model_report(), tmp_path)).text
    for words in ("Intended use", "Limits", "Licence of the data unknown", "Preprocessing", "Temperature 0.800"):
        assert words in text
    for words in ("w" * 64, "python 3.11.7, torch 2.15.0", "c" * 40, "image_size"):
        assert words in text


def test_the_six_tables_stand_beside_the_reports_own_numbers(tmp_path: Path) -> None:
    seen = Seen(written(model_report(), tmp_path))
    for number in range(1, 7):
        assert f"Table {number}. " in seen.text
    assert "1693" in seen.text and "37.8" in seen.text and "86.4" in seen.text and "0.836" in seen.text
    assert len([value for value in seen.values("class") if value and "published" in value]) > 44 * 4


def test_other_classes_are_not_compared_with_the_report(tmp_path: Path) -> None:
    text = Seen(written(model_report(CLASSES[:5]), tmp_path)).text
    assert "other classes than the published report" in text and "0.836" not in text


def test_classes_without_a_contrast_have_no_tables_by_contrast(tmp_path: Path) -> None:
    report = model_report(PLAIN_CLASSES)
    assert report.evaluation["contrast_accuracy"] is None
    text = Seen(written(report, tmp_path)).text
    assert "The classes have no contrast" in text
    assert "Table 1." not in text and "Table 6." not in text and "Table 2." in text


@pytest.mark.parametrize("make", ["model", "compare", "sweep"])
def test_a_page_needs_nothing_but_itself(make: str, tmp_path: Path) -> None:
    page = made(make, tmp_path)
    seen = Seen(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", page))
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(seen.tags)
    assert not seen.values("src")
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    (source,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


@pytest.mark.parametrize("make", ["model", "compare", "sweep"])
def test_a_page_has_landmarks_ordered_headings_and_alternatives(make: str, tmp_path: Path) -> None:
    page = made(make, tmp_path)
    seen = Seen(page)
    assert [tag for tag in seen.tags if tag in ("header", "nav", "main", "footer")] == [
        "header",
        "nav",
        "main",
        "footer",
    ]
    levels = [int(tag[1]) for tag in seen.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    anchors = {value.removeprefix("#") for value in seen.values("href") if value and value.startswith("#")}
    assert anchors <= set(seen.values("id"))
    assert seen.tags.count("svg") == seen.values("role").count("img")
    assert seen.tags.count("caption") == seen.tags.count("table")


def test_the_page_is_the_same_to_the_byte(tmp_path: Path) -> None:
    report = model_report()
    assert written(report, tmp_path / "a") == written(report, tmp_path / "b")


def hostile_report() -> ModelReport:
    """Class names, file names, digests and the recipe all try to break out."""
    classes = tuple(f"{HOSTILE} {number} T{1 + number % 2}" for number in range(4))
    report = model_report(classes)
    images = report.images.assign(path=[f"{HOSTILE}/{row}.jpg" for row in range(len(report.images))])
    model = metadata(classes, id=HOSTILE, profile=HOSTILE, sha256=HOSTILE, recipe={"fold": 0, "weights": HOSTILE})
    shown = Exhibit(HOSTILE, (HOSTILE,), (Picture("data:image/jpeg;base64,AAAA", HOSTILE, 8, 8),))
    row = {**report.evaluation, "dataset_digest": HOSTILE, "id": HOSTILE}
    exhibits = Exhibits((shown,), (shown,), (HOSTILE,))
    return replace(report, images=images, model=model, evaluation=row, exhibits=exhibits)


@pytest.mark.parametrize("make", ["model", "compare"])
def test_hostile_names_are_shown_and_do_nothing(make: str, tmp_path: Path) -> None:
    report = hostile_report()
    page = written(report, tmp_path) if make == "model" else compared(report, model_report(), tmp_path)
    seen = Seen(page)
    assert seen.tags.count("script") == 1
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in "".join(seen.texts) and "{{ 7 * 7 }}" in page
    assert "\x1b" not in page and "\u202e" not in page


def test_an_evaluation_without_images_says_that_a_newer_one_is_needed(tmp_path: Path) -> None:
    report = model_report()
    old = {**report.evaluation, **dict.fromkeys(("calibration_error", "uncalibrated_error", "risk_coverage_area"))}
    old |= dict.fromkeys(("top3_accuracy", "top5_accuracy", "mean_average_precision", "accuracy_low", "accuracy_high"))
    old |= dict.fromkeys(("near_duplicate_n", "similar_n", "unlike_n", "unlike_accuracy", "examination_accuracy"))
    nothing = dict.fromkeys(("f1_low", "f1_high", "average_precision", "n_groups"))
    report = replace(
        report,
        evaluation=old,
        images=report.images.head(0),
        similarities=report.similarities.head(0),
        classes=report.classes.assign(**nothing),
        history=[],
    )
    text = Seen(written(report, tmp_path)).text
    assert text.count(f"run: mri evaluate --model {report.model.id}") == 4
    assert "no history.csv" in text and "nan" not in text.lower().split()
    assert "No image was recorded for both models" in Seen(compared(report, model_report(), tmp_path)).text


def test_pictures_are_shown_only_where_there_are_any(tmp_path: Path) -> None:
    picture = Picture("data:image/jpeg;base64,AAAA", "Image of class A", 8, 8)
    exhibits = Exhibits(
        (Exhibit("A", ("a.jpg",), (picture,)),), (Exhibit("B", ("b.jpg",), (picture, picture)),), ("c.jpg",)
    )
    seen = Seen(written(replace(model_report(), exhibits=exhibits), tmp_path))
    assert seen.tags.count("img") == 3 and all(seen.values("alt"))
    assert "contains images of the data: share it only" in seen.text and "c.jpg" in seen.text
    seen = Seen(written(model_report(), tmp_path))
    assert "img" not in seen.tags and "--with-images" in seen.text


def test_a_perfect_model_has_no_mistakes(tmp_path: Path) -> None:
    assert Seen(written(model_report(PLAIN_CLASSES, skill=9), tmp_path)).text.count("No answer was wrong.") == 2


def test_too_many_classes_are_listed_and_not_drawn(tmp_path: Path) -> None:
    report = model_report(tuple(f"tumor {number:03d}" for number in range(101)), per_class=1)
    assert "too many classes for a picture" in Seen(written(report, tmp_path)).text


def test_generated_images_are_called_so(tmp_path: Path) -> None:
    report = model_report()
    drawn = report.images.assign(path=[f"A/phantom_{row}.jpg" for row in range(len(report.images))])
    text = Seen(written(replace(report, images=drawn), tmp_path)).text
    assert "The images are generated" in text and "The published report has accuracy" not in text
    assert "The images are generated" not in Seen(written(report, tmp_path)).text


def test_the_better_model_is_named_if_the_difference_is_clear(tmp_path: Path) -> None:
    weak, strong = model_report(skill=0.2), model_report(skill=0.9)
    text = Seen(compared(weak, strong, tmp_path)).text
    assert "B is better" in text and "cannot be compared" not in text
    assert "A is better" in Seen(compared(strong, weak, tmp_path)).text
    assert "No clear difference" in Seen(compared(weak, weak, tmp_path)).text


def cells(page: str, caption: str) -> list[list[str]]:
    """The texts of each row of a table."""
    (table,) = re.findall(rf"<caption><span>{re.escape(caption)}.*?<tbody>(.*?)</tbody>", page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [[re.sub("<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_each_class_has_the_interval_of_its_difference_and_clear_ones_are_marked_in_words(tmp_path: Path) -> None:
    weak, strong = model_report(skill=0.45, per_class=20), model_report(skill=0.6, per_class=20, seed=1)
    found = compare(weak.images, strong.images, CLASSES)
    assert found
    page = compared(weak, strong, tmp_path)
    rows = {row[0]: row for row in cells(page, "F1 by class, clear differences first")}
    assert len(rows) == 44
    for row in found.classes.to_dict("records"):
        _, mark, first, second, _, difference, interval, n, n_groups = rows[row["label"]]
        assert (first, second, n, n_groups) == (f"{row['first']:.2f}", f"{row['second']:.2f}", "20", "10")
        assert difference == formatted(row["difference"], "+.2f")
        ends = [formatted(row[f"difference_{end}"], "+.2f") for end in ("low", "high")]
        assert interval == " to ".join(ends)
        assert mark == ("B better" if row["difference_low"] > 0 else "–")
    marked = [row[1] == "B better" for row in cells(page, "F1 by class, clear differences first")]
    assert 0 < sum(marked) < 44 and marked == sorted(marked, reverse=True)
    assert f"excludes 0: {sum(marked)} of 44, where chance alone makes about 2" in page


def test_a_class_of_few_groups_has_no_interval_and_no_clear_difference(tmp_path: Path) -> None:
    few, many = model_report(skill=0.3), model_report(skill=0.6)
    page = compared(few, many, tmp_path)
    rows = cells(page, "F1 by class, clear differences first")
    assert len(rows) > 2
    for row in rows:
        if int(row[8]) < 5:
            assert (row[1], row[6]) == ("–", "–")


def test_equal_models_differ_by_zero_without_a_sign(tmp_path: Path) -> None:
    page = compared(model_report(), model_report(), tmp_path)
    assert (
        "accuracy B − A is 0.000 (95 % interval 0.000 to 0.000, by group; permutation test, p 1.000). 0 answers differ."
        in page
    )
    assert not re.search(r"[+−-]0\.0+\b", page)


def test_what_makes_two_models_incomparable_is_said(tmp_path: Path) -> None:
    report = model_report()
    other = replace(
        report,
        model=replace(report.model, protocol="grouped", temperature=2.0),
        evaluation={**report.evaluation, "dataset_digest": "d2", "split": "all"},
        classes=pd.concat([report.classes.iloc[1:], report.classes.iloc[:1].assign(label="New T1")]),
    )
    text = Seen(compared(report, other, tmp_path)).text
    for words in ("different data sets", "protocols differ", "splits differ", "different classes", "New T1"):
        assert words in text
    assert "temperature 0.800 2.000" in text and "Without such an image: New T1." in text


def test_a_cross_validation_says_that_each_image_is_tested_once_and_by_how_many_models(tmp_path: Path) -> None:
    report = sweep_report(dataset={"digest": "d1", "profile": "auto", "n_ok": 266, "n_rejected": 3})
    text = Seen(pooled(report, tmp_path)).text
    for words in (
        "Cross-validation report",
        "Grouped cross-validation with 3 models: each image is tested once",
        "not those of one model to use",
        f"On {report.evaluation['n']} images, each tested once by one of 3 models",
        "accuracies from 0.500 to 0.750 (standard deviation 0.177)",
        "2 images are left out",
        "Each model has a temperature of its own",
        "mri report folds-0123456789 --with-images",
    ):
        assert words in text


def test_what_belongs_to_one_model_is_a_row_of_a_table_in_the_page_of_a_cross_validation(tmp_path: Path) -> None:
    page = pooled(sweep_report(), tmp_path)
    folds = cells(page, "The models, one for each fold")
    assert [row[0] for row in folds] == ["1 of 3", "2 of 3", "3 of 3"]
    assert [row[5] for row in folds] == ["0.500", "0.750", "–"]
    weights = cells(page, "Ids and weights")
    assert [row[4] for row in weights] == ["1" * 64, "2" * 64, "3" * 64]
    assert [row[2] for row in weights] == ["0.500", "1.000", "1.500"]
    text = Seen(page).text
    assert "Table 2." in text and "Table 3." not in text and "Table 4." in text
    assert "Epoch kept" in text and "by epoch" not in text and "SHA-256 of the weights" in text
    assert "and of these mistakes" not in text


def test_a_cross_validation_of_hostile_names_does_nothing(tmp_path: Path) -> None:
    report = sweep_report(tuple(f"{HOSTILE} {number} T1" for number in range(3)), sweep_id=HOSTILE)
    model = replace(report.models[0], id=HOSTILE, sha256=HOSTILE, git_commit=HOSTILE, intended_use=HOSTILE)
    page = pooled(replace(report, models=(model,)), tmp_path)
    seen = Seen(page)
    assert seen.tags.count("script") == 1 and "\x1b" not in page
    assert not [name for name, _ in seen.attributes if name.startswith("on")]


def test_an_old_cross_validation_says_what_to_run_again(tmp_path: Path) -> None:
    report = sweep_report()
    report = replace(report, images=report.images.head(0), similarities=report.similarities.head(0))
    assert Seen(pooled(report, tmp_path)).text.count("run the cross-validation again") == 4


@pytest.mark.parametrize(("before", "after", "is_worse"), [(0.1, 0.2, True), (0.2, 0.1, False), (0.1, 0.1001, False)])
def test_a_calibration_that_made_it_worse_is_commented(
    before: float, after: float, is_worse: bool, tmp_path: Path
) -> None:
    report = model_report()
    row = {**report.evaluation, "uncalibrated_error": before, "calibration_error": after}
    assert ("it made the error larger" in Seen(written(replace(report, evaluation=row), tmp_path)).text) == is_worse


def test_images_without_a_tumor_are_normal_in_one_spelling_and_classes_are_as_their_folders(tmp_path: Path) -> None:
    page = written(model_report(), tmp_path)
    assert "Normal" in {row[0] for row in cells(page, "Table 2.")} and ">NORMAL" not in page
    assert "_NORMAL T1" in {row[0] for row in cells(page, "Table 5.")}
    page = written(model_report(("_NORMAL T1", "normal T2", "Glioma T1")), tmp_path)
    assert {row[0]: row[1] for row in cells(page, "Table 2.")} == {"Normal": "40", "Glioma": "20"}


def test_the_footer_says_what_of_the_data_is_in_the_page(tmp_path: Path) -> None:
    report = model_report()
    assert "names of files, but no image of the data" in Seen(written(report, tmp_path)).text
    shown = Exhibits(overlay="Grad-CAM on the output of layer2, 8×8 cells")
    assert "It contains images of the data and names" in Seen(written(replace(report, exhibits=shown), tmp_path)).text
