"""The comparison of the two protocols, question by question, as the page, the terminal and Prefect show it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mri_model.data.splits import PROTOCOLS
from mri_model.quality.dataset import PARTS
from mri_model.quality.nearest_neighbor import Neighbors
from mri_model.quality.report import QualityReport
from mri_model.quality.wording import percent

UNKNOWN = "–"


@dataclass(frozen=True)
class Question:
    """One row of the comparison; the answers are in the order of ``PROTOCOLS``.

    Attributes:
        question: What was measured.
        texts: The answers to show.
        shares: The answers as 0…1, for a bar; None where the answer is unknown or not a share.
    """

    question: str
    texts: tuple[str, ...]
    shares: tuple[float | None, ...]


def list_questions(report: QualityReport) -> list[Question]:
    """All rows of the comparison."""
    return [
        split_sizes(report),
        *leakage_questions(report),
        *neighbor_questions(report),
        *shortcut_questions(report),
    ]


def split_sizes(report: QualityReport) -> Question:
    sizes = [report.split_sizes.protocols[protocol] for protocol in PROTOCOLS]
    return counts("images for training / validation / test", (f"{n.train} / {n.val} / {n.test}" for n in sizes))


def leakage_questions(report: QualityReport) -> list[Question]:
    found = [report.leakage.protocols[protocol] for protocol in PROTOCOLS]
    at_least = "" if report.leakage.complete else "≥ "
    return [
        *(
            shares(
                f"test images with {words}",
                (protocol.parts[part].share for protocol in found),
                at_least if part == "near_duplicate" else "",
            )
            for part, words in PARTS.items()
        ),
        counts(
            "pairs of near duplicates in different splits", (f"{at_least}{protocol.cross_pairs}" for protocol in found)
        ),
    ]


def neighbor_questions(report: QualityReport) -> list[Question]:
    found = [report.nearest_neighbor.protocols[protocol] for protocol in PROTOCOLS]
    pixels = [protocol.pixels if protocol else None for protocol in found]
    edges = [protocol.edges if protocol else None for protocol in found]
    macro_f1 = tuple(each.score.macro_f1 if each else None for each in pixels)
    all_pixels, *parts = accuracy_questions(f"right class by comparing raw pixels only{sampled(report)}", pixels)
    return [
        all_pixels,
        Question(
            "… macro-F1 of this", tuple(UNKNOWN if value is None else f"{value:.2f}" for value in macro_f1), macro_f1
        ),
        *parts,
        *accuracy_questions("right class by comparing edges only", edges),
    ]


def accuracy_questions(question: str, found: Sequence[Neighbors | None]) -> list[Question]:
    """The accuracy on all test images, and on each part that some protocol has."""
    rows = [shares(question, (each.score.accuracy if each else None for each in found))]
    for part, words in PARTS.items():
        scores = [each.parts[part] if each else None for each in found]
        if any(scores):
            rows.append(shares(f"… with {words}", (each.accuracy if each else None for each in scores)))
    return rows


def sampled(report: QualityReport) -> str:
    """A remark if not all test images were compared."""
    n_tested = [
        found.pixels.score.n
        for protocol, found in report.nearest_neighbor.protocols.items()
        if found and found.pixels.score.n < report.split_sizes.protocols[protocol].test
    ]
    return f" (measured on {max(n_tested)} of them)" if n_tested else ""


def shortcut_questions(report: QualityReport) -> list[Question]:
    found = [report.file_shortcut.protocols[protocol] for protocol in PROTOCOLS]
    return [
        shares(
            "right class by size and format of the file only",
            (protocol.accuracy if protocol else None for protocol in found),
        ),
        shares(
            "right class by always choosing the largest class",
            (protocol.largest_class if protocol else None for protocol in found),
        ),
    ]


def shares(question: str, values: Iterable[float | None], prefix: str = "") -> Question:
    """A question answered in percent."""
    known = tuple(values)
    return Question(question, tuple(UNKNOWN if value is None else prefix + percent(value) for value in known), known)


def counts(question: str, texts: Iterable[str]) -> Question:
    """A question not answered by a share."""
    return Question(question, tuple(texts), (None,) * len(PROTOCOLS))
