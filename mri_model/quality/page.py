"""The quality report as one HTML file that needs nothing else: no network, no script."""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from mri_model.data.label_table import IS_LABELS
from mri_model.data.medical.choice import is_left_out
from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION, pair_kinds
from mri_model.data.splits import PROTOCOLS
from mri_model.files import atomic
from mri_model.quality import curves, nearest_neighbor
from mri_model.quality.check import LEVEL_NAMES
from mri_model.quality.curves import Curve, agreement_curve
from mri_model.quality.dataset import SPLIT_NAMES, DataSet
from mri_model.quality.questions import Question, list_questions
from mri_model.quality.report import QualityReport
from mri_model.quality.wording import visible

MOST_CONFLICTS = 24
MOST_PAIRS = 12
MOST_REJECTED = 200

EXACT_KINDS = {"same bytes": "the same file twice", "same picture": "the same image, saved twice"}
"""What ``pair_kinds`` calls exact duplicates, in words; all other pairs are near duplicates."""

IMAGE_HEIGHT = 112
"""Height of a shown image in CSS pixels; its width follows from the proportions of the file."""


@dataclass(frozen=True)
class Figure:
    """An image to show: a data URI, its width and height in CSS pixels, and what its caption says."""

    uri: str
    width: int
    height: int
    label: str
    path: str
    split: str = ""


@dataclass(frozen=True)
class Pair:
    kind: str
    files: tuple[Figure, ...]


@dataclass(frozen=True)
class ClassBar:
    """One split's part of a class: its number of images, and its width in percent of the largest class."""

    split: str
    n: int
    width: float


@dataclass(frozen=True)
class ClassRow:
    """One class under the grouped split. ``left_out`` counts images in no split."""

    label: str
    n: int
    groups: int
    splits: tuple[ClassBar, ...]
    left_out: int


@dataclass(frozen=True)
class RejectedFile:
    path: str
    reason: str


@dataclass(frozen=True)
class Section:
    """Everything that ``section.html`` shows, besides the report itself."""

    quality: QualityReport
    questions: list[Question]
    conflicts: list[list[Figure]]
    more_conflicts: int
    pairs: list[Pair]
    curves: list[Curve]
    classes: list[ClassRow]
    rejected: list[RejectedFile]
    more_rejected: int


def write_quality_page(
    report: QualityReport,
    data: DataSet,
    out: Path,
    digest: str = "",
    profile: str = "",
) -> Path:
    """Write the quality report as an HTML page, with the images it mentions.

    Args:
        report: The quality report of the data set.
        data: What it was made from.
        out: The file to write.
        digest: Digest of the manifest, for the heading.
        profile: Name of the profile, for the heading.

    Returns:
        ``out``.
    """
    section = quality_section(report, data)
    page = environment().get_template("page.html").render(section=section, digest=digest, profile=profile)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def environment() -> Environment:
    """Jinja2 with this package's templates: everything is escaped, undefined names are errors."""
    jinja = Environment(
        loader=PackageLoader("mri_model.quality", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["visible"] = visible
    jinja.filters["prose"] = lambda text: visible(text).replace(" %", "\N{NO-BREAK SPACE}%")
    jinja.globals.update(
        levels=LEVEL_NAMES,
        protocols=PROTOCOLS,
        near_duplicate_correlation=NEAR_DUPLICATE_CORRELATION,
        plot=curves,
        max_tested=nearest_neighbor.MAX_TESTED,
    )
    return jinja


def quality_section(report: QualityReport, data: DataSet, with_images: bool = True) -> Section:
    """What ``section.html`` needs, under the name ``section``; its headings are ``h2`` unless ``heading`` is given."""
    rejected = data.frame.loc[~data.accepted, ["path", "reason"]].fillna("no reason given")
    rejected = rejected[~is_left_out(rejected["reason"]) & (rejected["reason"] != IS_LABELS)]
    return Section(
        quality=report,
        questions=list_questions(report),
        conflicts=conflict_figures(report, data) if with_images else [],
        more_conflicts=max(0, len(report.conflicts.sets) - MOST_CONFLICTS),
        pairs=pairs_across_splits(data, "random") if with_images else [],
        curves=[agreement_curve(each) for each in report.same_source.agreements],
        classes=class_rows(report, data),
        rejected=[RejectedFile(path, reason) for path, reason in rejected.head(MOST_REJECTED).itertuples(index=False)],
        more_rejected=max(0, len(rejected) - MOST_REJECTED),
    )


def conflict_figures(report: QualityReport, data: DataSet) -> list[list[Figure]]:
    """The first images that have more than one label, each with all its files."""
    row_of = {path: row for row, path in enumerate(data.frame["path"])}
    return [[figure(data, row_of[file.path]) for file in files] for files in report.conflicts.sets[:MOST_CONFLICTS]]


def pairs_across_splits(data: DataSet, protocol: str) -> list[Pair]:
    """Pairs of near duplicates in two splits of a protocol, highest correlation first.

    No image is shown twice, and at most a quarter of the pairs is of the same exact kind.
    """
    chosen = np.flatnonzero(data.pairs_across_splits(protocol))
    chosen = chosen[np.argsort(-data.duplicates.correlation[chosen], kind="stable")]
    kinds = pair_kinds(data.frame, data.duplicates)
    room = dict.fromkeys(EXACT_KINDS, MOST_PAIRS // 4)
    shown: set[int] = set()
    pairs: list[Pair] = []
    for pair in chosen:
        rows = {int(data.duplicates.first[pair]), int(data.duplicates.second[pair])}
        kind = str(kinds[pair])
        if rows & shown or not room.get(kind, MOST_PAIRS):
            continue
        shown |= rows
        room[kind] = room.get(kind, MOST_PAIRS) - 1
        name = EXACT_KINDS.get(kind, f"near duplicate, correlation {data.duplicates.correlation[pair]:.3f}")
        pairs.append(Pair(name, tuple(figure(data, row, protocol) for row in sorted(rows))))
        if len(pairs) == MOST_PAIRS:
            break
    return pairs


def figure(data: DataSet, row: int, protocol: str | None = None) -> Figure:
    """The thumbnail of one row, in the proportions of its file."""
    facts = data.frame.iloc[row]
    proportion = min(max(float(facts["width"]) / float(facts["height"]), 0.4), 2.0)
    return Figure(
        uri=png_uri(data.thumbnails[row]),
        width=round(IMAGE_HEIGHT * proportion),
        height=IMAGE_HEIGHT,
        label=facts["label"],
        path=facts["path"],
        split=SPLIT_NAMES[facts[f"split_{protocol}"]] if protocol else "",
    )


def png_uri(pixels: np.ndarray) -> str:
    """A uint8 grey image (height, width) as a data URI."""
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def class_rows(report: QualityReport, data: DataSet) -> list[ClassRow]:
    """One row per class, largest first, with its images in each split of the grouped protocol."""
    sizes = report.classes.sizes
    counts = {
        split: data.frame.loc[data.in_split("grouped", split), "label"].value_counts().to_dict()
        for split in SPLIT_NAMES
    }
    largest = max(sizes.values(), default=1)
    rows = []
    for label, n in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        parts = {split: int(of_split.get(label, 0)) for split, of_split in counts.items()}
        bars = tuple(ClassBar(split, part, 100 * part / largest) for split, part in parts.items())
        rows.append(ClassRow(label, n, report.classes.groups[label], bars, n - sum(parts.values())))
    return rows
