"""Learning curves of one training as an SVG picture."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Colours that people with colour vision deficiency can distinguish (Okabe and Ito, 2008)."""

LOSSES = (("train_loss", "training", ORANGE), ("val_loss", "validation", BLUE))
SCORES = (
    ("train_accuracy", "training accuracy", ORANGE),
    ("val_accuracy", "validation accuracy", BLUE),
    ("val_f1", "validation macro-F1", GREEN),
)
"""Lines of a panel: field of a row, name in the legend, colour."""

STYLE: Any = {  # matplotlib types the keys as a Literal of all its settings
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "learning curves",  # fixes the identifiers, so that the same history gives the same bytes
}


def learning_curves(history: Sequence[Any]) -> str:
    """Draw loss, accuracy and macro-F1 of every epoch and mark the best epoch.

    Args:
        history: One row per epoch, at least one: objects or mappings with ``epoch`` (from 1), ``train_loss``,
            ``val_loss``, ``train_accuracy``, ``val_accuracy`` and ``val_f1`` (0 to 1). NaN values are not drawn.

    Returns:
        The text of an SVG file that refers to no other file. The same history gives the same text.
    """
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        draw(history).savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Title": summary(history)})
    return file.getvalue()


def draw(history: Sequence[Any]) -> "Figure":
    """Two panels side by side: losses on the left, accuracy and macro-F1 on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_panel(left, "Loss", LOSSES, history)
    left.set_ylim(bottom=0)
    draw_panel(right, "Accuracy and macro-F1", SCORES, history)
    right.set_ylim(0, 1)
    return figure


def draw_panel(axes: "Axes", title: str, lines: Sequence[tuple[str, str, str]], history: Sequence[Any]) -> None:
    """One panel: a line for each field, and a vertical line at the best epoch."""
    from matplotlib.ticker import MaxNLocator

    for field, name, colour in lines:
        points = [(value(row, "epoch"), value(row, field)) for row in history]
        drawn = [point for point in points if math.isfinite(point[1])]
        axes.plot([x for x, _ in drawn], [y for _, y in drawn], ".-", color=colour, label=name, gid=field)
    best = best_epoch(history)
    axes.axvline(best, color="#767676", linestyle=":", label=f"best epoch: {best}", gid="best")
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def best_epoch(history: Sequence[Any]) -> int:
    """The epoch with the highest validation macro-F1; the earliest of ties."""
    return int(value(max(history, key=lambda row: (finite_f1(row), -value(row, "epoch"))), "epoch"))


def finite_f1(row: Any) -> float:
    """The row's validation macro-F1, -1 if it is NaN."""
    f1 = value(row, "val_f1")
    return f1 if math.isfinite(f1) else -1.0


def summary(history: Sequence[Any]) -> str:
    """The picture in one sentence, for screen readers."""
    best = best_epoch(history)
    f1 = next(value(row, "val_f1") for row in history if value(row, "epoch") == best)
    return f"Learning curves: {len(history)} epochs; the best, {best}, has validation macro-F1 {f1:.3f}"


def value(row: Any, field: str) -> float:
    """A field of an object or of a mapping."""
    return row[field] if isinstance(row, Mapping) else getattr(row, field)
