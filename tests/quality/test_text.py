"""The report as text, and names in it that try to do something."""

import pytest

from mri_model.quality.text import describe_quality, quality_markdown, quality_table
from mri_model.quality.wording import many, most_frequent, percent
from tests.quality.samples import HOSTILE, noise, pairs, quality_report, sound, table


def test_hostile_names_neither_break_lines_nor_become_markup() -> None:
    frame, thumbnails = table(["A"] * 20 + [HOSTILE], ["train", "val", "test"] * 7), noise(21)
    report = quality_report(frame, thumbnails, pairs())
    assert HOSTILE in report.classes.sizes
    plain, marked = describe_quality(report), quality_markdown(report)
    for text in (plain, marked):
        assert "\x1b" not in text and "\u202e" not in text
        assert not any(line.startswith("# ") for line in text.splitlines())
    assert "A\\n" in plain
    assert "<script" not in marked and "https:/" not in marked and "\\[x\\](" in marked
    assert "\\`\\|\\*\\_" in marked


def test_the_terminal_shows_the_first_issues_and_counts_the_rest() -> None:
    frame, thumbnails = sound()
    frame["conflict"] = frame.index < 2
    report = quality_report(frame, thumbnails, pairs((0, 1, 0.9999), (0, 4, 0.97)))
    lines = describe_quality(report, most=2).splitlines()
    assert lines[0] == "quality report: 1 serious, 4 to note"
    assert lines[1].startswith("  to note  2 % of the test images of the random split")
    assert lines[3:] == ["  … and 3 more, all in the quality report"]


def test_the_table_answers_every_question_for_both_protocols() -> None:
    frame, thumbnails = sound()
    frame["split_grouped"] = None
    shown = quality_table(quality_report(frame, thumbnails, pairs()))
    assert shown.loc[0].tolist() == ["images for training / validation / test", "40 / 40 / 40", "0 / 0 / 0"]
    unknown = shown["question"].str.startswith("right class")
    assert set(shown.loc[unknown, "grouped"]) == {"–"} and unknown.sum() == 4
    assert shown["random"].iloc[-1] == "50 %"


def test_a_small_share_does_not_read_as_nothing_nor_a_large_one_as_everything() -> None:
    shown = [percent(value) for value in (0, 0.001, 0.25, 0.999, 1)]
    assert shown == ["0 %", "<1 %", "25 %", ">99 %", "100 %"]


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 pairs of files are"), (1, "1 pair of files is"), (2, "2 pairs of files are")]
)
def test_nouns_and_verbs_follow_the_number(n: int, words: str) -> None:
    assert many(n, "pair of files", "is", "are") == words
    assert many(n, "class").endswith("class" if n == 1 else "classes")


def test_long_counts_are_cut() -> None:
    assert most_frequent({"a": 4, "b": 3, "c": 2}) == "a (4); b (3); c (2)"
    assert most_frequent({"a": 4, "b": 3, "c": 2, "d": 1}) == "a (4); b (3); c (2); …"
