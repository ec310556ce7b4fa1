"""Learning curves: what is drawn, which epoch is marked, and that the picture depends on the history alone."""

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass, replace

import pytest

from mri_model.report.curves import draw, learning_curves

FIELDS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "val_f1")


@dataclass(frozen=True)
class Row:
    epoch: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    val_f1: float


def history(n: int) -> list[Row]:
    return [Row(epoch, 2.5 / epoch, 3 / epoch, epoch / 20, epoch / 30, epoch / 40) for epoch in range(1, n + 1)]


def points(svg: str, field: str) -> int:
    """Number of points of a line in the picture."""
    (group,) = (element for element in ElementTree.fromstring(svg).iter() if element.get("id") == field)
    (line,) = (element for element in group if element.tag.endswith("path"))
    return len(re.findall("[ML]", line.attrib["d"]))


def test_every_epoch_is_drawn_and_the_best_is_marked() -> None:
    rows = history(5)
    rows[2] = replace(rows[2], val_f1=0.9)
    svg = learning_curves(rows)
    assert [points(svg, field) for field in FIELDS] == [5] * 5
    assert "5 epochs; the best, 3, has validation macro-F1 0.900" in svg
    for axes in draw(rows).axes:
        (mark,) = (line for line in axes.lines if line.get_gid() == "best")
        assert list(mark.get_xdata()) == [3, 3]
        assert "best epoch: 3" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_lines_hold_the_values_of_their_fields() -> None:
    rows = history(4)
    lines = {line.get_gid(): line for axes in draw(rows).axes for line in axes.lines}
    for field in FIELDS:
        assert list(lines[field].get_xdata()) == [1, 2, 3, 4]
        assert list(lines[field].get_ydata()) == [getattr(row, field) for row in rows]


def test_a_value_that_is_no_number_is_left_out() -> None:
    rows = history(4)
    rows[1] = replace(rows[1], train_loss=math.nan, val_f1=math.nan)
    svg = learning_curves(rows)
    assert [points(svg, field) for field in FIELDS] == [3, 4, 4, 4, 3]
    assert "the best, 4," in svg


def test_of_epochs_with_equal_f1_the_first_is_the_best() -> None:
    rows = [replace(row, val_f1=0.5) for row in history(3)]
    assert "the best, 1," in learning_curves(rows)


@pytest.mark.parametrize("f1", [0.1, math.nan])
def test_one_epoch_is_a_picture(f1: float) -> None:
    assert "1 epochs; the best, 1," in learning_curves([replace(history(1)[0], val_f1=f1)])


def test_the_same_history_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import sys; from tests.report.test_curves import history, learning_curves;"
        "sys.stdout.write(learning_curves(history(7)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other == learning_curves(history(7))


def test_rows_may_be_mappings() -> None:
    rows = history(3)
    assert learning_curves([asdict(row) for row in rows]) == learning_curves(rows)


def test_drawing_leaves_no_global_state() -> None:
    """In a process of its own, because another test may have imported pyplot."""
    code = (
        "import sys; from mri_model.report.curves import STYLE, learning_curves;"
        "assert 'matplotlib' not in sys.modules;"
        "from matplotlib import rcParams; before = [rcParams[name] for name in STYLE];"
        "from tests.report.test_curves import history; learning_curves(history(2));"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "assert [rcParams[name] for name in STYLE] == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
