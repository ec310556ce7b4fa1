"""Tables that people read in a terminal of 100 columns."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from mri_model.report.tables import format_table


def shown(**columns: list[Any]) -> list[str]:
    return format_table(pd.DataFrame(columns)).split("\n")


def column(values: list[Any], **others: list[Any]) -> list[str]:
    """The texts of one column."""
    return [line.strip() for line in shown(value=values, **others)[1:]]


def test_a_small_table_has_numbers_on_the_right_and_text_on_the_left() -> None:
    assert shown(label=["a", "longer"], n=[1, 200]) == [
        "label     n",
        "a         1",
        "longer  200",
    ]


def test_an_empty_table_says_so() -> None:
    assert format_table(pd.DataFrame({"a": []})) == "(no rows)"
    assert format_table(pd.DataFrame()) == "(no rows)"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.5, 0.123456], ["0.5000", "0.1235"]),
        ([0.5, 0.25], ["0.50", "0.25"]),
        ([1.0, 0.0], ["1", "0"]),
        ([3.0, None], ["3", ""]),
        ([3, 12], ["3", "12"]),
        ([61.23456, 2987.123456], ["61.2", "2987.1"]),
        ([123456.7, 1.5], ["123457", "2"]),
        ([0.01, 0.00002], ["0.01", "2e-05"]),
        ([-0.25, 0.5], ["-0.25", "0.50"]),
        ([float("inf"), 0.5], ["inf", "0.5"]),
        ([float("nan"), float("nan")], ["", ""]),
        ([True, False], ["True", "False"]),
        ([pd.NA, "x"], ["", "x"]),
        ([None, 0.25], ["", "0.25"]),
    ],
)
def test_numbers_have_at_most_four_digits_after_an_aligned_point(values: list[Any], texts: list[str]) -> None:
    assert column(values) == texts


def test_decimal_points_are_aligned() -> None:
    lines = shown(seconds=[9.25, 10.5, 100.125])[1:]
    assert len({line.index(".") for line in lines}) == 1


@pytest.fixture
def in_delhi(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Five and a half hours before UTC."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


START = datetime(2026, 11, 2, 20, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.usefixtures("in_delhi")
def test_moments_are_local_and_to_the_minute() -> None:
    later = START + timedelta(hours=1)
    assert column([START, later]) == ["2026-11-03 02:00", "2026-11-03 03:00"]
    assert column(list(pd.to_datetime([START, later]))) == ["2026-11-03 02:00", "2026-11-03 03:00"]
    assert column([START.astimezone(timezone(timedelta(hours=-8)))]) == ["2026-11-03 02:00"]


@pytest.mark.usefixtures("in_delhi")
def test_moments_show_seconds_where_these_distinguish_rows() -> None:
    assert column([START, START + timedelta(seconds=1)]) == ["2026-11-03 02:00:15", "2026-11-03 02:00:16"]
    assert column([START, START, START + timedelta(milliseconds=1)]) == ["2026-11-03 02:00"] * 3
    assert column([START, pd.NaT]) == ["2026-11-03 02:00", ""]


MODELS = [f"resnet18-160px-grouped-fold{n}of3-{n}a2b3c4d5e" for n in (1, 2, 3)]
WIDE = {f"measured_value_{n}": [0.1234] * 3 for n in range(4)}


def test_ids_are_whole_where_the_table_fits() -> None:
    assert shown(id=MODELS)[1:] == MODELS


def test_ids_are_shortened_where_the_table_is_too_wide_and_stay_unambiguous() -> None:
    first_words = [line.split()[0] for line in shown(id=MODELS, **WIDE)[1:]]
    assert len(set(first_words)) == 3 and all(word.startswith("resnet18-…-") for word in first_words)
    alike = ["resnet18-100px-random-1a00112233", "resnet18-100px-random-1b00112233", "resnet18-100px-random-1b00112233"]
    short = [line.split()[0] for line in shown(id=alike, **WIDE)[1:]]
    assert short == ["resnet18-…-1a00112233", "resnet18-…-1b00112233", "resnet18-…-1b00112233"]


def test_digests_are_cut_at_their_end() -> None:
    digests = ["0123456789abcdef", "fedcba9876543210", "0123456700000000"]
    short = [line.split()[0] for line in shown(digest=digests, text=["x" * 86] * 3)[1:]]
    assert short == ["0123456789…", "fedcba9876…", "0123456700…"]


def paths(*names: str) -> list[str]:
    return [f"/srv/hospital/incoming/2026/november/ward-{'x' * 60}/{name}" for name in names]


def test_long_paths_lose_their_middle() -> None:
    lines = shown(path=paths("a.jpg", "b.jpg"), status=["scored", "rejected"])
    assert all(len(line) <= 100 for line in lines)
    assert lines[1].startswith("/srv/hospital/incoming/") and "…" in lines[1]
    assert "xxx/a.jpg  scored" in lines[1] and "xxx/b.jpg  rejected" in lines[2]


def test_paths_that_would_look_alike_are_not_shortened_into_a_table() -> None:
    alike = [f"/data/{'x' * 60}-{n}-{'y' * 60}.jpg" for n in (1, 2)]
    text = format_table(pd.DataFrame({"path": alike, "status": ["scored"] * 2}), width=70)
    assert text.count("status  scored") == 2


def test_names_of_columns_are_wrapped_before_the_table_becomes_blocks() -> None:
    columns = {f"validation_accuracy_{n}": [0.25, 0.5] for n in range(8)}
    lines = shown(**columns)
    assert lines[0].split() == ["validation"] * 8
    assert lines[1].split() == ["accuracy"] * 8
    assert lines[2].split() == [str(n) for n in range(8)]
    assert lines[3].split() == ["0.25"] * 8
    assert all(len(line) <= 100 for line in lines)


def test_a_table_that_does_not_fit_becomes_a_block_per_row() -> None:
    frame = pd.DataFrame({"reason": ["r" * 60, "s" * 60], "note": ["t" * 60, None], "id": MODELS[:2], "n": [1, 20]})
    assert format_table(frame) == "\n".join(
        [
            f"reason  {'r' * 60}",
            f"note    {'t' * 60}",
            f"id      {MODELS[0]}",
            "n       1",
            "",
            f"reason  {'s' * 60}",
            "note",
            f"id      {MODELS[1]}",
            "n       20",
        ]
    )


def test_a_long_text_in_a_block_is_wrapped_and_a_long_word_shortened() -> None:
    frame = pd.DataFrame({"why": [" ".join(["word"] * 30)], "path": ["/" + "d" * 120], "n": [1]})
    why, more, path, n = format_table(frame).splitlines()
    assert (why, more) == ("why   " + " ".join(["word"] * 19), "      " + " ".join(["word"] * 11))
    assert len(path) == 100 and "…" in path and n == "n     1"


def test_wide_characters_keep_the_columns_aligned() -> None:
    lines = shown(name=["脑 MRT", "Größe", "e\u0301"], n=[1, 2, 3])
    assert {cell_len(line) for line in lines} == {9}


@pytest.mark.parametrize("sign", ["\x1b", "\n", "\r", "\t", "\u202e", "\u200b", "\udce9", "\x00", "\x9b"])
def test_characters_that_could_act_on_the_terminal_are_escaped(sign: str) -> None:
    lines = format_table(pd.DataFrame({"name": [f"a{sign}b"], "n": [1]}, dtype=object)).split("\n")
    assert len(lines) == 2
    assert sign not in "".join(lines)
    assert lines[1].startswith("a\\")


def test_names_of_columns_are_escaped_too() -> None:
    assert shown(**{"a\x1b[31m": ["x"]})[0] == r"a\x1b[31m"


def test_columns_may_share_a_name() -> None:
    frame = pd.DataFrame([[1, "x"]], columns=["a", "a"])
    assert format_table(frame).split() == ["a", "a", "1", "x"]


VALUES = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=150),
    st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5))
def test_whatever_the_values_lines_fit_and_nothing_fails(rows: list[list[Any]]) -> None:
    frame = pd.DataFrame(rows, columns=["model_id", "path", "val_f1"], dtype=object)
    lines = format_table(frame).split("\n")
    assert all(cell_len(line) <= 100 for line in lines)
    assert len(lines) in (len(rows) + 1, len(rows) + 2, 4 * len(rows) - 1)
