"""Small data sets for the checks, and what the report says of them."""

from typing import Any

import numpy as np
import pandas as pd

from mri_model.data.agreement import EDGES, PIXELS, Agreement
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.hog import HOG_LENGTH
from mri_model.data.near_duplicates import NearDuplicates
from mri_model.quality import report
from mri_model.quality.dataset import DataSet
from mri_model.quality.report import QualityReport

HOSTILE = "A\n# <script>alert(1)</script> [x](https://e.org) `|*_\x1b[31m\u202e"

Sample = tuple[pd.DataFrame, np.ndarray, NearDuplicates]


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 64, 64), dtype=np.uint8)


def data_set(frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates) -> DataSet:
    """With edges that say no more than the noise that they are, and agreement curves without pairs."""
    descriptors = np.random.default_rng(1).integers(0, 97, (len(frame), HOG_LENGTH), dtype=np.uint8)
    nothing = [(similarity, np.zeros(similarity.n_bins, int)) for similarity in (PIXELS, EDGES)]
    agreements = tuple(Agreement.of(similarity, zeros, zeros, np.zeros(1, int)) for similarity, zeros in nothing)
    return DataSet(frame, Fingerprints(thumbnails, descriptors), duplicates, agreements)


def quality_report(frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates) -> QualityReport:
    return report.quality_report(data_set(frame, thumbnails, duplicates))


def table(labels: list[str], splits: list[str | None], **columns: Any) -> pd.DataFrame:
    """A manifest's frame in which every image is its own group and both splits are ``splits``."""
    n = len(labels)
    frame = pd.DataFrame({"label": labels, "split_random": splits, "split_grouped": splits})
    frame["path"] = [f"{label}/{row}.jpg" for row, label in enumerate(labels)]
    frame["sha256"] = [f"{row:04x}" for row in range(n)]
    frame["group"] = pd.array(range(n), dtype="Int64")
    same = {"n_bytes": 1000, "extension": ".jpg", "format": "JPEG", "height": 64, "width": 64, "stored_channels": 1}
    unknown = {"contrast": None, "patient": None, "split_given": None, "reason": None}
    frame = frame.assign(**same, **unknown, tumor="A", status="ok", n_near_duplicates=0, conflict=False)
    frame = frame.assign(turned_family=None, augmented_family=None)
    return frame.assign(**columns)


def pairs(*found: tuple[int, int, float], complete: bool = True) -> NearDuplicates:
    first, second, correlation = zip(*found, strict=True) if found else ((), (), ())
    return NearDuplicates(
        np.array(first, np.int32), np.array(second, np.int32), np.array(correlation, np.float32), complete
    )


def reject(frame: pd.DataFrame, rows: list[int], reason: str) -> pd.DataFrame:
    """Rejected files as ingestion leaves them: null in every column that needs the decoded image."""
    frame = frame.astype(dict.fromkeys(["n_near_duplicates", "height", "width", "stored_channels"], "Int64"))
    frame = frame.astype({"conflict": "boolean"})
    empty = ["label", "format", "height", "width", "stored_channels", "group", "n_near_duplicates", "conflict"]
    frame.loc[rows, [*empty, "split_random", "split_grouped"]] = None
    frame.loc[rows, "status"] = "rejected"
    frame["reason"] = frame["reason"].astype(object)
    frame.loc[rows, "reason"] = reason
    return frame


def sound(n: int = 120) -> tuple[pd.DataFrame, np.ndarray]:
    """Two balanced classes of noise, without any issue but that patients are unknown."""
    labels = ["A", "B"] * (n // 2)
    splits = ["train", "train", "val", "val", "test", "test"] * (n // 6)
    return table(labels, splits), noise(n)


def certain() -> pd.DataFrame:
    """24 patients whom the files name, each with images of one class in one split."""
    frame, _ = sound()
    names = frame["split_grouped"] + frame["label"] + (frame.index // 36).astype(str)
    return frame.assign(tumor=frame["label"], patient=names, series=[f"s{row // 3}" for row in range(120)])


def all_but_one_rejected() -> Sample:
    frame = reject(table(["A"] * 4, ["train"] * 4), [1, 2, 3], "empty file")
    return frame, noise(4), pairs()


def all_identical() -> Sample:
    frame, _ = sound()
    frame = frame.assign(sha256="a", conflict=True, n_near_duplicates=119, pixel_crc32="0f", group=0)
    everything = [(i, j, 1.0) for i in range(120) for j in range(i + 1, 120)]
    return frame, np.zeros((120, 64, 64), np.uint8), pairs(*everything)


DEGENERATE: dict[str, Sample] = {
    "one class": (table(["A"] * 6, ["train", "train", "train", "val", "test", "test"]), noise(6), pairs()),
    "classes of one image": (table(list("ABCDEF"), ["train"] * 6), noise(6), pairs()),
    "no validation, no test": (table(["A", "B"], ["train", "train"]), noise(2), pairs()),
    "no training": (table(["A", "B"], ["test", "val"]), noise(2), pairs()),
    "a test class that is not trained on": (table(["A", "B"], ["train", "test"]), noise(2), pairs()),
    "no split at all": (table(["A", "B"], [None, None]), noise(2), pairs()),
    "all but one rejected": all_but_one_rejected(),
    "all identical": all_identical(),
}


def texts(found: QualityReport, level: str | None = None) -> str:
    """The texts of all issues, or of those of one level, one per line."""
    return "\n".join(issue.text for issue in found.issues if level in (None, issue.level))
