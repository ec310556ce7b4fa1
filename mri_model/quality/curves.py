"""The geometry of an agreement curve's picture; ``section.html`` draws it."""

from dataclasses import dataclass

from mri_model.data.agreement import STEP, Agreement
from mri_model.quality.wording import percent

WIDTH, HEIGHT = 420, 250
"""Size of the picture in its own units; the page scales it to the width that there is."""

LEFT, RIGHT, TOP, BOTTOM = 60, 402, 12, 196
"""The edges of the plot in the picture."""

NAMES = {"pixels": "Similarity of the pixels", "edges": "Similarity of the edges"}


@dataclass(frozen=True)
class Tick:
    """A label on an axis, at a place along it."""

    place: float
    text: str


@dataclass(frozen=True)
class Curve:
    """An agreement curve as it is drawn.

    Attributes:
        name: Label of the horizontal axis.
        summary: The picture in one sentence, for screen readers.
        caption: The threshold, where it comes from, and what it links.
        points: Middle of each bin that holds pairs, and its agreement: (x, y).
        chance: y of the agreement of two images at random, and its label.
        threshold: x of the threshold and its label; None if the similarity links nothing.
    """

    name: str
    summary: str
    caption: str
    points: tuple[tuple[float, float], ...]
    chance: Tick
    threshold: Tick | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    @property
    def line(self) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


def agreement_curve(found: Agreement) -> Curve:
    start = found.bins[0].similarity if found.bins else 0.0
    middles = [(each.similarity + STEP / 2, each.agreeing / each.pairs) for each in found.bins if each.pairs]
    tenths = [tenth / 100 for tenth in range(0, 101, 5) if tenth / 100 >= start - STEP / 2]
    threshold = found.threshold
    return Curve(
        name=NAMES[found.similarity],
        summary=f"Share of pairs with the same tumor type by {NAMES[found.similarity].lower()}. {caption(found)}",
        caption=caption(found),
        points=tuple((across(x, start), down(y)) for x, y in middles),
        chance=Tick(down(found.chance), f"by chance {percent(found.chance)}"),
        threshold=None if threshold is None else Tick(across(threshold, start), f"threshold {threshold:.2f}"),
        x_ticks=tuple(Tick(across(x, start), f"{x:.2f}") for x in tenths),
        y_ticks=tuple(Tick(down(y / 4), percent(y / 4)) for y in range(5)),
    )


def across(similarity: float, start: float) -> float:
    return LEFT + (RIGHT - LEFT) * (similarity - start) / (1 - start)


def down(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share


def caption(found: Agreement) -> str:
    """In words: the threshold, whether it was measured, and what it links."""
    if found.threshold is None:
        return "Here even the most similar images often show different tumors, so this similarity links no images."
    linked = sum(each.agreeing for each in found.used)
    if not found.measured:
        return (
            f"Threshold {found.threshold:.2f}: a default, because there are too few similar pairs, or only one tumor "
            f"type, to measure it. It links {linked} pairs."
        )
    return f"Threshold {found.threshold:.2f}: measured on this data set. It links {linked} pairs."
