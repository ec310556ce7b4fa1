"""Learning curves as a picture: one SVG that needs nothing else, in light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 34, 34
STYLE = """
svg { font: 12px system-ui, sans-serif; color: #1b1b1f; background: #fff }
text { fill: currentColor } .title { font-weight: 600 } .grid { stroke: currentColor; opacity: .15 }
.train { stroke: #8a6d00; stroke-dasharray: 5 3 } .val { stroke: #1f6feb } .f1 { stroke: #a5348d }
.line { fill: none; stroke-width: 2 } .best { stroke: currentColor; opacity: .45; stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
  svg { color: #e8e8ec; background: #16161a }
  .train { stroke: #e0b93d } .val { stroke: #6ea8ff } .f1 { stroke: #ee86d6 }
}
"""
PANELS = (
    ("Loss", (("train_loss", "training", "train"), ("val_loss", "validation", "val"))),
    (
        "Accuracy and macro-F1",
        (("train_accuracy", "training", "train"), ("val_accuracy", "validation", "val"), ("val_f1", "macro-F1", "f1")),
    ),
)


def learning_curves(history: Sequence[Mapping[str, Any]]) -> str:
    """Rows of ``history.csv`` (one an epoch) → SVG; the epoch that was kept is marked."""
    best = max(history, key=lambda row: (row["val_f1"], -row["epoch"]))
    summary = f"{len(history)} epochs; the best, {best['epoch']}, has validation macro-F1 {best['val_f1']:.3f}"
    panels = [
        panel(title, lines, history, int(best["epoch"]), number * WIDTH) for number, (title, lines) in enumerate(PANELS)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(PANELS)} {HEIGHT}" role="img" '
        f'aria-label="Learning curves: {summary}"><style>{STYLE}</style>{"".join(panels)}</svg>\n'
    )


def panel(
    title: str,
    lines: Sequence[tuple[str, str, str]],
    history: Sequence[Mapping[str, Any]],
    best: int,
    offset: int,
) -> str:
    finite = [row[key] for row in history for key, _, _ in lines if row[key] == row[key]]
    top = max([1.0, *finite]) if title == "Loss" else 1.0
    last = max(2, len(history))

    def x(epoch: float) -> float:
        return round(offset + LEFT + (epoch - 1) / (last - 1) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - min(value, top) / top * (HEIGHT - TOP - BOTTOM), 1)

    parts = [f'<text class="title" x="{offset + LEFT}" y="14">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        height = y(share * top)
        parts.append(f'<line class="grid" x1="{x(1)}" x2="{x(last)}" y1="{height}" y2="{height}"/>')
        parts.append(f'<text x="{offset + LEFT - 6}" y="{height + 4}" text-anchor="end">{share * top:.2f}</text>')
    for epoch in sorted({1, round((1 + last) / 2), last}):
        parts.append(f'<text x="{x(epoch)}" y="{HEIGHT - 16}" text-anchor="middle">{epoch}</text>')
    middle = offset + (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 2}" text-anchor="middle">epoch</text>')
    parts.append(f'<line class="best" x1="{x(best)}" x2="{x(best)}" y1="{y(0)}" y2="{y(top)}"/>')
    for number, (key, name, style) in enumerate(lines):
        points = " ".join(f"{x(row['epoch'])},{y(row[key])}" for row in history if row[key] == row[key])
        parts.append(f'<polyline class="line {style}" points="{points}"/>')
        left = offset + LEFT + number * 96
        parts.append(f'<line class="line {style}" x1="{left}" x2="{left + 18}" y1="24" y2="24"/>')
        parts.append(f'<text x="{left + 22}" y="28">{name}</text>')
    return "".join(parts)
