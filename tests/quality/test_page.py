import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_model.data.near_duplicates import NearDuplicates
from mri_model.quality import page as module
from mri_model.quality.page import quality_section, write_quality_page
from tests.quality.samples import DEGENERATE, HOSTILE, data_set, noise, pairs, quality_report, reject, sound, table

BENIGN = {"html", "head", "meta", "title", "style", "body", "main", "header", "section", "p", "h1", "h2", "ul", "li"}
BENIGN |= {"table", "thead", "tbody", "tr", "th", "td", "span", "i", "b", "code", "div", "figure", "figcaption", "img"}
BENIGN |= {"dl", "dt", "dd", "svg", "rect", "line", "text", "polyline", "circle"}


class Seen(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def written(frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates, out: Path, **names: str) -> str:
    report = quality_report(frame, thumbnails, duplicates)
    page = write_quality_page(report, data_set(frame, thumbnails, duplicates), out / "quality.html", **names)
    return page.read_text(encoding="utf-8")


def troubled() -> tuple[pd.DataFrame, np.ndarray, NearDuplicates]:
    """Conflicts, pairs across the random split and rejected files."""
    frame, thumbnails = sound()
    frame["conflict"] = frame.index < 2
    return reject(frame, [119], "empty file"), thumbnails, pairs((0, 1, 0.9995), (6, 10, 0.97), (6, 11, 0.96))


def test_the_page_shows_issues_images_classes_and_rejected_files(tmp_path: Path) -> None:
    page = written(*troubled(), tmp_path, digest="0123abcd", profile="phantom")
    assert [path.name for path in tmp_path.iterdir()] == ["quality.html"]
    assert "Research use only" in page and "0123abcd" in page and "phantom" in page
    order = [
        'class="claim"',
        "The two splits compared",
        "Images in more than one class",
        "in different parts of the random split",
    ]
    places = [page.index(words) for words in [*order, "<h2>Classes", "<h2>Rejected files"]]
    assert places == sorted(places)
    assert page.count("data:image/png;base64,") == 4  # one conflict and one pair: no image twice
    assert "near duplicate, correlation 0.970" in page and "0.960" not in page
    assert "empty file" in page


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = written(*troubled(), tmp_path)
    seen = Seen(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", page))
    assert set(seen.tags) <= BENIGN
    assert all(value.startswith("data:image/png;base64,") for name, value in seen.attributes if name == "src" and value)
    assert "default-src 'none'" in page


def test_the_page_is_the_same_to_the_byte(tmp_path: Path) -> None:
    assert written(*troubled(), tmp_path / "a") == written(*troubled(), tmp_path / "b")


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    evil = f"{HOSTILE}\" onerror='alert(1)"
    frame = table([evil, "B"] * 30, ["train", "test", "val"] * 20)
    frame["path"] = [f'{label}/\r\n<img src=x onerror=alert(1)>{row}".jpg' for row, label in enumerate(frame["label"])]
    frame["conflict"] = frame.index < 2
    frame = reject(frame, [50], "folder '<b>x</b>\n' is no class of profile auto")
    page = written(frame, noise(60), pairs((0, 1, 0.9995)), tmp_path, digest="<u>", profile="</code><script>")
    seen = Seen(page)
    assert set(seen.tags) <= BENIGN
    assert not {"onerror", "onload", "onclick"} & {name for name, _ in seen.attributes}
    assert "<script>alert(1)</script>" in "".join(seen.texts)
    assert "\x1b" not in page and "\u202e" not in page
    assert "\\r\\n<img src=x" in "".join(seen.texts)


def test_long_lists_are_cut_and_the_rest_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REJECTED", 3)
    monkeypatch.setattr(module, "MOST_CONFLICTS", 2)
    monkeypatch.setattr(module, "MOST_PAIRS", 1)
    frame, thumbnails = sound()
    frame["conflict"] = frame.index < 10
    frame = reject(frame, list(range(100, 110)), "empty file")
    duplicates = pairs(*((row, row + 1, 0.9995) for row in range(0, 10, 2)), (20, 24, 0.96), (26, 30, 0.97))
    report = quality_report(frame, thumbnails, duplicates)
    section = quality_section(report, data_set(frame, thumbnails, duplicates))
    assert (len(section.rejected), section.more_rejected) == (3, 7)
    assert (len(section.conflicts), section.more_conflicts) == (2, 3)
    assert [pair.kind for pair in section.pairs] == ["near duplicate, correlation 0.970"]
    page = written(frame, thumbnails, duplicates, tmp_path)
    assert "And 7 more; all are listed in the manifest" in page and "And 3 more" in page


def test_pairs_say_of_which_kind_they_are_exact_ones_first() -> None:
    frame, thumbnails = sound()
    frame.loc[4, "sha256"] = frame.loc[0, "sha256"]
    duplicates = pairs((0, 4, 1.0), (6, 10, 0.9995), (12, 16, 0.97), (12, 17, 0.96), (18, 19, 0.98))
    shown = module.pairs_across_splits(data_set(frame, thumbnails, duplicates), "random")
    kinds = ["the same file twice", "the same image, saved twice", "near duplicate, correlation 0.970"]
    assert [pair.kind for pair in shown] == kinds  # 12 is not shown twice; 18 and 19 are in one split
    assert [(file.path, file.split) for file in shown[0].files] == [("A/0.jpg", "training"), ("A/4.jpg", "test")]


def test_images_keep_the_proportions_of_the_file() -> None:
    frame = table(["A"], ["train"], height=200, width=100)
    shown = module.figure(data_set(frame, noise(1), pairs()), 0, "random")
    assert (shown.width, shown.height, shown.split) == (56, 112, "training")


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_set_gets_its_page(name: str, tmp_path: Path) -> None:
    page = written(*DEGENERATE[name], tmp_path)
    assert "<h1>Data quality report</h1>" in page and "nan" not in " ".join(Seen(page).texts).lower()
