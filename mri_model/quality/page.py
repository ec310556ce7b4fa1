"""The quality report as one HTML file that needs nothing else: no network, no script."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION, NearDuplicates, pair_kinds
from mri_model.data.splits import PROTOCOLS, SHARES
from mri_model.files import atomic
from mri_model.quality.issues import LEVELS, MAX_TESTED, SPLITS, questions, visible
from mri_model.quality.report import in_split, torn

MOST_CONFLICTS = 24
MOST_PAIRS = 12
MOST_REJECTED = 200

KINDS = {
    "same bytes": "the same file twice",
    "same picture": "the same picture, saved twice",
    "near duplicate": "near copy, correlation {:.2f}",
}

PICTURE_HEIGHT = 112
"""Height in CSS pixels of a picture shown; its width follows from the image's own proportions."""


def write_quality_page(
    quality: dict[str, Any],
    frame: pd.DataFrame,
    thumbnails: np.ndarray,
    duplicates: NearDuplicates,
    out: Path,
    digest: str | None = None,
    profile: str | None = None,
) -> Path:
    """Write what ``quality_report`` found, with the pictures it speaks of, to ``out``; returns ``out``.

    ``frame``, ``thumbnails`` (uint8 (rows, 64, 64)) and ``duplicates`` are those the report was made from; ``digest``
    and ``profile`` name the data set in the heading.
    """
    section = quality_section(quality, frame, thumbnails, duplicates)
    page = environment().get_template("page.html").render(section=section, digest=digest, profile=profile)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def environment() -> Environment:
    """Jinja2 over this package's templates: everything escaped, nothing undefined, names made visible."""
    jinja = Environment(
        loader=PackageLoader("mri_model.quality", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["visible"] = visible
    jinja.filters["prose"] = lambda text: visible(text).replace(" %", "\N{NO-BREAK SPACE}%")
    return jinja


def quality_section(
    quality: dict[str, Any], frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates
) -> dict[str, Any]:
    """What ``quality_section.html`` needs, as ``section``; for any page that includes it."""
    rejected = frame.loc[frame["status"] == "rejected", ["path", "reason"]]
    return {
        "quality": quality,
        "levels": LEVELS,
        "protocols": PROTOCOLS,
        "questions": questions(quality),
        "conflicts": conflict_pictures(quality, frame, thumbnails),
        "more_conflicts": max(0, quality["conflicts"]["n_sets"] - MOST_CONFLICTS),
        "pairs": pair_pictures(frame, thumbnails, duplicates, "random"),
        "n_pairs": quality["protocols"]["random"]["cross_pairs"],
        "classes": class_rows(quality, frame),
        "rejected": rejected.head(MOST_REJECTED).fillna("no reason given").to_dict("records"),
        "more_rejected": max(0, len(rejected) - MOST_REJECTED),
        "near_duplicate_correlation": NEAR_DUPLICATE_CORRELATION,
        "max_tested": MAX_TESTED,
    }


def conflict_pictures(
    quality: dict[str, Any], frame: pd.DataFrame, thumbnails: np.ndarray
) -> list[list[dict[str, Any]]]:
    """The first sets of images that stand in more than one class."""
    shown = quality["conflicts"]["sets"][:MOST_CONFLICTS]
    place = {path: row for row, path in enumerate(frame["path"])}
    return [[picture(frame, thumbnails, place[file["path"]]) for file in members] for members in shown]


def pair_pictures(
    frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates, protocol: str
) -> list[dict[str, Any]]:
    """Pairs on two splits of a protocol, highest correlation first; no image twice, a few only of each exact kind."""
    torn_pairs = np.flatnonzero(torn(frame, duplicates, protocol))
    order = np.argsort(-duplicates.correlation[torn_pairs], kind="stable")
    kinds = pair_kinds(frame, duplicates)
    seen: set[int] = set()
    room = {"same bytes": MOST_PAIRS // 4, "same picture": MOST_PAIRS // 4, "near duplicate": MOST_PAIRS}
    pairs: list[dict[str, Any]] = []
    for pair in torn_pairs[order]:
        rows = {int(duplicates.first[pair]), int(duplicates.second[pair])}
        if rows & seen or not room[kinds[pair]]:
            continue
        seen |= rows
        room[kinds[pair]] -= 1
        files = [picture(frame, thumbnails, row, protocol) for row in sorted(rows)]
        told = KINDS[kinds[pair]].format(duplicates.correlation[pair])
        pairs.append({"kind": told, "files": files})
        if len(pairs) == MOST_PAIRS:
            break
    return pairs


def picture(frame: pd.DataFrame, thumbnails: np.ndarray, row: int, protocol: str | None = None) -> dict[str, Any]:
    """One image to be shown: ``uri``, ``width`` and ``height`` in CSS pixels, ``label``, ``path`` and its ``split``."""
    facts = frame.iloc[row]
    proportion = min(max(float(facts["width"]) / float(facts["height"]), 0.4), 2.0)
    return {
        "uri": png_uri(thumbnails[row]),
        "width": round(PICTURE_HEIGHT * proportion),
        "height": PICTURE_HEIGHT,
        "label": facts["label"],
        "path": facts["path"],
        "split": SPLITS[facts[f"split_{protocol}"]] if protocol else "",
    }


def png_uri(pixels: np.ndarray) -> str:
    """A grey uint8 image as a data URI."""
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def class_rows(quality: dict[str, Any], frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a class, largest first: images on each split of the grouped split, and the share of the largest class."""
    sizes: dict[str, int] = quality["classes"]["sizes"]
    splits = {
        split: frame.loc[in_split(frame, "grouped", split), "label"].value_counts().reindex(list(sizes), fill_value=0)
        for split in SHARES
    }
    largest = max(sizes.values(), default=1)
    return [
        {
            "label": label,
            "n": n,
            "groups": quality["classes"]["groups"][label],
            "splits": [
                (split, int(counts[label]), 100 * int(counts[label]) / largest) for split, counts in splits.items()
            ],
            "left_out": n - sum(int(counts[label]) for counts in splits.values()),
        }
        for label, n in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ]
