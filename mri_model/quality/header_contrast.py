"""Check: labels whose contrast is not the one that the header of the file hints at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pandas as pd

from mri_model.data.patients import optional_column
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import share
from mri_model.quality.wording import many, percent

SERIOUS_SHARE = 0.05
"""Share of the images with a hint from which a disagreement is serious: the contrast is a part of the class, so a model
that answers right loses as much accuracy as there are wrong labels."""

MIN_HINTED = 20
"""With fewer hints a share says little, and the issue is not serious."""

MOST_KINDS = 3


@dataclass(frozen=True)
class Counts:
    """Numbers of series and of their images."""

    n_series: int
    n_images: int

    @property
    def text(self) -> str:
        return f"{self.n_series} series, {many(self.n_images, 'image')}"


@dataclass(frozen=True)
class HeaderContrast(Check):
    """Contrast of the label against the hint in the header. Nothing is ever relabelled.

    Attributes:
        hinted: Accepted images with a hint whose class has a contrast.
        differing: Those whose hint is another contrast.
        kinds: The same by kind (``labelled T1C+, T1 by the header``), most images first.
    """

    hinted: Counts
    differing: Counts
    kinds: dict[str, Counts]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.accepted_rows()
        hint = optional_column(rows, "contrast_hint")
        known = hint.notna() & rows["contrast"].notna()
        found = pd.DataFrame({"series": optional_column(rows, "series"), "label": rows["contrast"], "hint": hint})[
            known
        ]
        other = found[found["label"] != found["hint"]]
        kinds = {
            f"labelled {label}, {hint} by the header": counts(part)
            for (label, hint), part in other.groupby(["label", "hint"])
        }
        ordered = sorted(kinds.items(), key=lambda kind: (-kind[1].n_images, kind[0]))
        return cls(counts(found), counts(other), dict(ordered))

    def issues(self) -> Iterator[Issue]:
        if not self.hinted.n_images:
            return
        if not self.differing.n_images:
            yield Issue(
                "good",
                f"The contrast of the labels agrees with the header of all {self.hinted.text} that give a hint of it.",
                "The hint follows from series description, contrast agent, echo time and repetition time.",
                "Nothing to do.",
            )
            return
        part = share(self.differing.n_images, self.hinted.n_images) or 0
        told = "; ".join(f"{kind} ({found.text})" for kind, found in list(self.kinds.items())[:MOST_KINDS])
        more = "; …" if len(self.kinds) > MOST_KINDS else ""
        yield Issue(
            "serious" if part >= SERIOUS_SHARE and self.hinted.n_images >= MIN_HINTED else "notice",
            f"{percent(part)} of the images whose header gives a hint of the contrast ({self.differing.n_images} of "
            f"{self.hinted.n_images}) have another one in their label: {told}{more}.",
            "Either the label or the header is wrong. A network learns wrong labels, and is tested on them. Nothing "
            "was relabelled.",
            "Look at these series, and put them into the right class or leave them out. The manifest has the hint of "
            "each image (contrast_hint).",
        )


def counts(rows: pd.DataFrame) -> Counts:
    return Counts(int(rows["series"].nunique()), len(rows))
