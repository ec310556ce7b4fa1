"""The trust report as one HTML file that needs nothing else: no network, no script."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from mri_model.data.findings import LEVELS, MAX_TESTED, SIDES, questions, visible
from mri_model.data.split import PROTOCOLS, SHARES
from mri_model.data.trust import on_side, torn
from mri_model.data.twins import TWIN_CORRELATION, Twins, pair_kinds
from mri_model.files import atomic

MOST_CONFLICTS = 24
MOST_PAIRS = 12
MOST_REJECTED = 200

KINDS = {
    "same bytes": "the same file twice",
    "same picture": "the same picture, saved twice",
    "near copy": "near copy, correlation {:.2f}",
}

PICTURE_HEIGHT = 112
"""Height in CSS pixels of a picture shown; its width follows from the image's own proportions."""


def write_trust_page(
    trust: dict[str, Any],
    frame: pd.DataFrame,
    thumbnails: np.ndarray,
    twins: Twins,
    out: Path,
    digest: str | None = None,
    profile: str | None = None,
) -> Path:
    """Write what ``trust_report`` found, with the pictures it speaks of, to ``out``; returns ``out``.

    ``frame``, ``thumbnails`` (uint8 (rows, 64, 64)) and ``twins`` are those the report was made from; ``digest`` and
    ``profile`` name the data set in the heading.
    """
    section = trust_section(trust, frame, thumbnails, twins)
    page = environment().get_template("trust_page.html").render(section=section, digest=digest, profile=profile)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def environment() -> Environment:
    """Jinja2 over this package's templates: everything escaped, nothing undefined, names made visible."""
    jinja = Environment(
        loader=PackageLoader("mri_model.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["visible"] = visible
    jinja.filters["prose"] = lambda text: visible(text).replace(" %", "\N{NO-BREAK SPACE}%")
    return jinja


def trust_section(trust: dict[str, Any], frame: pd.DataFrame, thumbnails: np.ndarray, twins: Twins) -> dict[str, Any]:
    """What ``trust_section.html`` needs, as ``section``; for any page that includes it."""
    rejected = frame.loc[frame["status"] == "rejected", ["path", "reason"]]
    return {
        "trust": trust,
        "levels": LEVELS,
        "protocols": PROTOCOLS,
        "questions": questions(trust),
        "conflicts": conflict_pictures(trust, frame, thumbnails),
        "more_conflicts": max(0, trust["conflicts"]["n_sets"] - MOST_CONFLICTS),
        "pairs": pair_pictures(frame, thumbnails, twins, "random"),
        "n_pairs": trust["protocols"]["random"]["cross_pairs"],
        "classes": class_rows(trust, frame),
        "rejected": rejected.head(MOST_REJECTED).fillna("no reason given").to_dict("records"),
        "more_rejected": max(0, len(rejected) - MOST_REJECTED),
        "twin_correlation": TWIN_CORRELATION,
        "max_tested": MAX_TESTED,
    }


def conflict_pictures(trust: dict[str, Any], frame: pd.DataFrame, thumbnails: np.ndarray) -> list[list[dict[str, Any]]]:
    """The first sets of images that stand in more than one class."""
    shown = trust["conflicts"]["sets"][:MOST_CONFLICTS]
    place = {path: row for row, path in enumerate(frame["path"])}
    return [[picture(frame, thumbnails, place[file["path"]]) for file in members] for members in shown]


def pair_pictures(frame: pd.DataFrame, thumbnails: np.ndarray, twins: Twins, protocol: str) -> list[dict[str, Any]]:
    """Pairs on two sides of a protocol, highest correlation first; no image twice, a few only of each exact kind."""
    torn_pairs = np.flatnonzero(torn(frame, twins, protocol))
    order = np.argsort(-twins.correlation[torn_pairs], kind="stable")
    kinds = pair_kinds(frame, twins)
    seen: set[int] = set()
    room = {"same bytes": MOST_PAIRS // 4, "same picture": MOST_PAIRS // 4, "near copy": MOST_PAIRS}
    pairs: list[dict[str, Any]] = []
    for pair in torn_pairs[order]:
        rows = {int(twins.first[pair]), int(twins.second[pair])}
        if rows & seen or not room[kinds[pair]]:
            continue
        seen |= rows
        room[kinds[pair]] -= 1
        files = [picture(frame, thumbnails, row, protocol) for row in sorted(rows)]
        told = KINDS[kinds[pair]].format(twins.correlation[pair])
        pairs.append({"kind": told, "files": files})
        if len(pairs) == MOST_PAIRS:
            break
    return pairs


def picture(frame: pd.DataFrame, thumbnails: np.ndarray, row: int, protocol: str | None = None) -> dict[str, Any]:
    """One image to be shown: ``uri``, ``width`` and ``height`` in CSS pixels, ``label``, ``path`` and its ``side``."""
    facts = frame.iloc[row]
    proportion = min(max(float(facts["width"]) / float(facts["height"]), 0.4), 2.0)
    return {
        "uri": png_uri(thumbnails[row]),
        "width": round(PICTURE_HEIGHT * proportion),
        "height": PICTURE_HEIGHT,
        "label": facts["label"],
        "path": facts["path"],
        "side": SIDES[facts[f"split_{protocol}"]] if protocol else "",
    }


def png_uri(pixels: np.ndarray) -> str:
    """A grey uint8 image as a data URI."""
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def class_rows(trust: dict[str, Any], frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a class, largest first: images on each side of the grouped split, and the share of the largest class."""
    sizes: dict[str, int] = trust["classes"]["sizes"]
    sides = {
        side: frame.loc[on_side(frame, "grouped", side), "label"].value_counts().reindex(list(sizes), fill_value=0)
        for side in SHARES
    }
    largest = max(sizes.values(), default=1)
    return [
        {
            "label": label,
            "n": n,
            "groups": trust["classes"]["groups"][label],
            "sides": [(side, int(counts[label]), 100 * int(counts[label]) / largest) for side, counts in sides.items()],
            "left_out": n - sum(int(counts[label]) for counts in sides.values()),
        }
        for label, n in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ]
