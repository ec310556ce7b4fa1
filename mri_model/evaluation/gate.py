"""The gate that a model passes before it replaces the champion."""

from collections.abc import Iterator
from dataclasses import dataclass

from mri_model.data.manifest import Manifest
from mri_model.evaluation.comparison import Difference
from mri_model.models.metadata import ModelMetadata

MIN_IMAGES = 30
"""With fewer common test images nothing can be said."""

CLIFF = 0.3
"""A class falls off a cliff if its F1 falls by at least this much, and the 95 % interval does not say that chance may
explain it; a class of too few groups for an interval does too."""

CLIFF_IMAGES = 5
"""Classes with fewer common test images are not looked at one by one."""

MOST_NAMED = 3


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes:
        objections: What speaks against the candidate, with numbers; empty if it may replace the champion.
        difference: Candidate minus champion; None if they were not compared.
    """

    objections: tuple[str, ...]
    difference: Difference | None = None


@dataclass(frozen=True)
class Promotion:
    """A promotion that was recorded.

    Attributes:
        model_id: The champion now.
        retired: Id of the champion before; None if there was none, or if it is the same model.
        verdict: What the gate found; None if the model was the champion already: then nothing was recorded.
    """

    model_id: str
    retired: str | None
    verdict: Verdict | None = None


def fold_objection(candidate: ModelMetadata, manifest: Manifest | None) -> Iterator[str]:
    """What speaks against one fold of a cross-validation.

    Args:
        manifest: That of the training; None if it is gone.
    """
    if not candidate.fold:
        return
    some = "a part of the images"
    if manifest:
        n = {split: len(candidate.partition(manifest).rows(split)) for split in ("train", "val", "test")}
        some = f"{n['train']} of {sum(n.values())} images"
    yield f"it is fold {candidate.fold} of {candidate.recipe['folds']} of a cross-validation, trained on {some}"


def objections(candidate: ModelMetadata, champion: ModelMetadata, difference: Difference | None) -> Iterator[str]:
    """What speaks against the candidate in comparison with the champion, with numbers.

    Args:
        difference: Candidate minus champion on the test images of the candidate's manifest that both have answered and
            neither has seen; None if there are none.
    """
    if candidate.classes != champion.classes:
        yield class_objection(candidate.classes, champion.classes)
        return
    if candidate.protocol != champion.protocol:
        yield (
            f"it was trained under the {candidate.protocol} protocol, the champion under {champion.protocol}: "
            "their test images are not alike"
        )
    if difference is None or difference.n < MIN_IMAGES:
        yield f"both have {difference.n if difference else 0} test images in common; {MIN_IMAGES} are needed"
        return
    yield from worse(difference)
    yield from cliffs(difference)


def class_objection(candidate: tuple[str, ...], champion: tuple[str, ...]) -> str:
    lacks, adds = (sorted(set(a) - set(b))[:MOST_NAMED] for a, b in ((champion, candidate), (candidate, champion)))
    parts = [f"it does not know {', '.join(lacks)}"] if lacks else []
    parts += [f"the champion does not know {', '.join(adds)}"] if adds else []
    return f"its classes are not the champion's: {'; '.join(parts) or 'their order differs'}"


def worse(difference: Difference) -> Iterator[str]:
    """Accuracy and macro-F1 whose whole interval is below the champion's."""
    for name, words in (("accuracy", "accuracy"), ("macro_f1", "macro-F1")):
        low, high = getattr(difference, f"{name}_low"), getattr(difference, f"{name}_high")
        if high < 0:
            yield (
                f"its {words} is lower by {-getattr(difference, name):.3f} ({-high:.3f} to {-low:.3f}) "
                f"on {difference.n} images of {difference.n_groups} {difference.unit}s"
            )


def cliffs(difference: Difference) -> Iterator[str]:
    classes = difference.classes
    fallen = classes[
        (classes["n"] >= CLIFF_IMAGES) & (classes["difference"] <= -CLIFF) & ~(classes["difference_high"] >= 0)
    ].sort_values("difference")
    if len(fallen):
        named = ", ".join(
            f"{row.label} {row.first:.2f} → {row.second:.2f} ({row.n} images)"
            for row in fallen.head(MOST_NAMED).itertuples()
        )
        more = f" and {len(fallen) - MOST_NAMED} more" if len(fallen) > MOST_NAMED else ""
        yield f"F1 falls off a cliff in {named}{more}"
