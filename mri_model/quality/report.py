"""What to know about a data set before training on it, measured: copies, contradictions, short cuts."""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mri_model.data.formats import FORMATS
from mri_model.data.manifest import Manifest, read_near_duplicates
from mri_model.data.near_duplicates import SAME_PICTURE, NearDuplicates, connected
from mri_model.data.splits import PROTOCOLS, SHARES
from mri_model.errors import MriError
from mri_model.files import read_json, write_json
from mri_model.quality.issues import FEW, FEW_TESTED, MAX_TESTED, list_issues

QUALITY_VERSION = 1
"""Version of what the report measures and says. Raise it when that changes: reports of older versions are then made
again. ``tests/golden`` fails if it is forgotten."""


def write_quality_report(manifest: Manifest, thumbnails: np.ndarray) -> dict[str, Any]:
    """The quality report of a manifest, read from ``quality.json`` or measured and written there.

    ``thumbnails`` is uint8 (rows of the manifest, 64, 64).
    """
    with contextlib.suppress(MriError):
        return read_quality(manifest.folder)
    report = quality_report(manifest.frame, thumbnails, read_near_duplicates(manifest))
    write_json(manifest.folder / "quality.json", report)
    return report


def read_quality(folder: Path) -> dict[str, Any]:
    """The quality report kept beside a manifest. Raises MriError if it is missing, damaged or of another version."""
    try:
        report = read_json(folder / "quality.json")
        if isinstance(report, dict) and report.get("version") == QUALITY_VERSION:
            return report
    except (OSError, ValueError):
        pass
    raise MriError(f"{folder / 'quality.json'} is missing or damaged", "run: mri ingest DATA")


def quality_report(frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates) -> dict[str, Any]:
    """Measure how far a score on this data set can be believed.

    ``frame`` has the columns of ``manifest.SCHEMA`` (``pixel_crc32``, the CRC-32 of the decoded grey pixels, may be
    absent), ``thumbnails`` is uint8 (rows, 64, 64), ``duplicates`` counts positions in the frame.
    Returns JSON-serialisable facts: ``files``, ``copies``, ``groups``, ``conflicts``, ``classes``, ``images``, ``protocols`` (one entry each for
    ``random`` and ``grouped``) and ``issues``: ``level`` (serious, notice, good), ``issue``, its first sentence as
    ``claim``, and ``advice``; a split that leaks comes first. Shares, accuracies and F1 lie in 0…1 and are None where
    there is nothing to measure. The same input gives the same report to the last digit, with any number of threads.
    """
    ok = (frame["status"] == "ok").to_numpy(bool)
    pictures = same_pixels(frame, thumbnails)
    report: dict[str, Any] = {
        "files": file_facts(frame, ok),
        "copies": copy_facts(frame, ok, pictures, duplicates),
        "groups": group_facts(frame[ok]),
        "conflicts": conflict_facts(frame, thumbnails, pictures, duplicates),
        "classes": class_facts(frame[ok]),
        "images": image_facts(frame[ok]),
        "protocols": {protocol: protocol_facts(frame, thumbnails, duplicates, protocol) for protocol in PROTOCOLS},
    }
    return {"version": QUALITY_VERSION, **report, "issues": list_issues(report)}


def file_facts(frame: pd.DataFrame, ok: np.ndarray) -> dict[str, Any]:
    misfits = [
        f"{extension.lower() or 'no extension'} holds {content}"
        for extension, content in zip(frame.loc[ok, "extension"], frame.loc[ok, "format"], strict=True)
        if isinstance(content, str) and extension.lower() not in FORMATS.get(content, (extension.lower(),))
    ]
    return {
        "found": len(frame),
        "accepted": int(ok.sum()),
        "rejected": int((~ok).sum()),
        "rejected_by_reason": counted(frame.loc[~ok, "reason"].fillna("no reason given").map(reason_kind)),
        "wrong_extension": len(misfits),
        "wrong_extension_by_kind": counted(pd.Series(misfits, dtype=object)),
    }


def reason_kind(reason: str) -> str:
    """A reason without what belongs to the single file."""
    if reason.startswith("breaks the rule: "):
        return reason
    if reason.startswith("folder "):
        return "folder is no class of the profile"
    if reason.startswith("unknown extension"):
        return "unknown extension"
    return reason.partition(":")[0]


def copy_facts(
    frame: pd.DataFrame, ok: np.ndarray, pictures: np.ndarray | None, duplicates: NearDuplicates
) -> dict[str, Any]:
    """Pairs of the same bytes, of the same grey pixels in other bytes, and of near copies that are neither."""
    files = numbered(frame["sha256"])
    exact = files[duplicates.first] == files[duplicates.second]
    same_other_bytes = None
    if pictures is not None:
        exact |= pictures[duplicates.first] == pictures[duplicates.second]
        same_other_bytes = n_pairs(pictures[ok]) - n_pairs(numbered(pictures[ok], files[ok]))
    with_near_duplicate = int((frame.loc[ok, "n_near_duplicates"].fillna(0) > 0).sum())
    return {
        "same_bytes_pairs": n_pairs(files[ok]),
        "same_pixels_pairs": same_other_bytes,
        "near_duplicate_pairs": int((~exact).sum()),
        "complete": bool(duplicates.complete),
        "images_with_near_duplicate": with_near_duplicate,
        "share_with_near_duplicate": share(with_near_duplicate, int(ok.sum())),
    }


def same_pixels(frame: pd.DataFrame, thumbnails: np.ndarray) -> np.ndarray | None:
    """A number for each row, equal where the grey pixels are; None where the frame knows no checksums.

    A checksum of 32 bits collides once in 100,000 images, so size and thumbnail must agree as well.
    """
    if "pixel_crc32" not in frame:
        return None
    alone = pd.Series([f"row {row}" for row in range(len(frame))], frame.index, dtype=object)
    checksum = frame["pixel_crc32"].astype(object).where(frame["pixel_crc32"].notna(), alone)
    return numbered(checksum, frame["height"], frame["width"], looks(thumbnails))


def looks(thumbnails: np.ndarray) -> list[bytes]:
    """Equal where thumbnails are."""
    return [hashlib.blake2b(small.tobytes(), digest_size=16).digest() for small in thumbnails]


def group_facts(rows: pd.DataFrame) -> dict[str, Any]:
    sizes = rows["group"].value_counts()
    return {"n": len(sizes), "largest": int(sizes.max()) if len(sizes) else 0}


def conflict_facts(
    frame: pd.DataFrame, thumbnails: np.ndarray, pictures: np.ndarray | None, duplicates: NearDuplicates
) -> dict[str, Any]:
    """Every set of images that are one picture under more than one label, in order of the frame."""
    rows = np.flatnonzero(frame["conflict"].fillna(False).to_numpy(bool))
    place = np.full(len(frame), -1)
    place[rows] = np.arange(len(rows))
    first, second = place[duplicates.first], place[duplicates.second]
    same = (first >= 0) & (second >= 0) & (duplicates.correlation >= SAME_PICTURE)
    links = [np.column_stack([first, second])[same], chained(numbered(frame["sha256"].iloc[rows]))]
    links.append(chained(numbered(looks(thumbnails[rows]))))
    if pictures is not None:
        links.append(chained(pictures[rows]))
    members = pd.Series(rows).groupby(connected(np.concatenate(links), len(rows)), sort=False)
    paths, labels = frame["path"].to_numpy(object), frame["label"].to_numpy(object)
    sets = [[{"path": str(paths[row]), "label": str(labels[row])} for row in found] for _, found in members]
    return {"n_sets": len(sets), "n_images": len(rows), "sets": sets}


def class_facts(rows: pd.DataFrame) -> dict[str, Any]:
    """``groups`` counts those the grouped split can use: without images that stand in two classes."""
    sizes = {str(label): int(n) for label, n in rows["label"].value_counts().sort_index().items()}
    agreed = rows[~rows["conflict"].fillna(False).astype(bool)].groupby("label")["group"].nunique()
    groups = {label: int(agreed.get(label, 0)) for label in sizes}
    smallest = min(sizes, key=lambda label: sizes[label], default=None)
    largest = max(sizes, key=lambda label: sizes[label], default=None)
    return {
        "n": len(sizes),
        "sizes": sizes,
        "groups": groups,
        "smallest": smallest,
        "largest": largest,
        "imbalance": round(sizes[largest] / sizes[smallest], 2) if largest and smallest else None,
        "few_images": [label for label, n in sizes.items() if n < FEW],
        "few_groups": [label for label, n in groups.items() if n < FEW],
    }


def image_facts(rows: pd.DataFrame) -> dict[str, Any]:
    """Sizes in pixels, and channels as stored."""
    sizes = counted(rows["height"].astype("Int64").astype(str) + "×" + rows["width"].astype("Int64").astype(str))
    common = next(iter(sizes), None)
    return {
        "n_sizes": len(sizes),
        "height": extent(rows["height"]),
        "width": extent(rows["width"]),
        "most_common_size": common,
        "most_common_share": share(sizes[common], len(rows)) if common else None,
        "stored_channels": counted(rows["stored_channels"].astype("Int64").astype(str)),
        "formats": counted(rows["format"].fillna("unknown")),
    }


def extent(values: pd.Series) -> list[int] | None:
    return [int(values.min()), int(values.max())] if len(values) else None


def protocol_facts(
    frame: pd.DataFrame, thumbnails: np.ndarray, duplicates: NearDuplicates, protocol: str
) -> dict[str, Any]:
    """One protocol: sizes, what of the test set is known from training, and what can be guessed without learning."""
    splits = {split: in_split(frame, protocol, split) for split in SHARES}
    train, test = splits["train"], splits["test"]
    duplicate = test & has_near_duplicate_in(frame, duplicates, train)
    group = test & frame["group"].isin(frame.loc[train, "group"].dropna()).to_numpy(bool)
    n_test = int(test.sum())
    facts: dict[str, Any] = {
        "sizes": {split: int(chosen.sum()) for split, chosen in splits.items()},
        "near_duplicate_in_train": {"n": int(duplicate.sum()), "share": share(int(duplicate.sum()), n_test)},
        "group_in_train": {"n": int(group.sum()), "share": share(int(group.sum()), n_test)},
        "cross_pairs": {"n": int(torn(frame, duplicates, protocol).sum()), "complete": bool(duplicates.complete)},
        "few_tested": few_tested(frame, test),
        "pixels": None,
        "pixels_without_near_duplicate": None,
        "file_facts": None,
        "largest_class": None,
    }
    if train.any() and n_test:
        classes = pd.factorize(frame["label"].where(train | test), sort=True)[0]
        common = int(np.argmax(np.bincount(classes[train])))
        facts["largest_class"] = {"n": n_test, "accuracy": share(int((classes[test] == common).sum()), n_test)}
        facts["file_facts"] = guess_by_file(frame, classes, train, test)
        tested = choose_tested(frame["path"], np.flatnonzero(test))
        predicted = classes[nearest(thumbnails, tested, np.flatnonzero(train))]
        facts["pixels"] = score(classes[tested], predicted)
        facts["pixels_without_near_duplicate"] = score(
            classes[tested][~duplicate[tested]], predicted[~duplicate[tested]]
        )
    return facts


def in_split(frame: pd.DataFrame, protocol: str, split: str) -> np.ndarray:
    """Bool (rows,): which stand on a split of a protocol."""
    return (frame[f"split_{protocol}"] == split).to_numpy(dtype=bool, na_value=False)


def has_near_duplicate_in(frame: pd.DataFrame, duplicates: NearDuplicates, chosen: np.ndarray) -> np.ndarray:
    """Bool (rows,): which have a duplicate, or the same bytes, among the ``chosen`` (bool)."""
    found = np.zeros(len(frame), dtype=bool)
    found[duplicates.first[chosen[duplicates.second]]] = True
    found[duplicates.second[chosen[duplicates.first]]] = True
    files = numbered(frame["sha256"])
    return found | (np.bincount(files, weights=chosen)[files] > chosen)


def torn(frame: pd.DataFrame, duplicates: NearDuplicates, protocol: str) -> np.ndarray:
    """Bool (pairs,): which pairs of duplicates stand on two different splits of a protocol."""
    splits = np.zeros(len(frame), dtype=np.int8)
    for number, split in enumerate(SHARES, start=1):
        splits[in_split(frame, protocol, split)] = number
    first, second = splits[duplicates.first], splits[duplicates.second]
    return (first > 0) & (second > 0) & (first != second)


def few_tested(frame: pd.DataFrame, test: np.ndarray) -> int:
    """How many classes have fewer than ``FEW_TESTED`` test images."""
    classes = frame.loc[frame["status"] == "ok", "label"].unique()
    return int((frame.loc[test, "label"].value_counts().reindex(classes, fill_value=0) < FEW_TESTED).sum())


def choose_tested(paths: pd.Series, test: np.ndarray) -> np.ndarray:
    """At most ``MAX_TESTED`` of the positions ``test``, in order; which ones depends on their paths alone."""
    if len(test) <= MAX_TESTED:
        return test
    keys = [hashlib.sha256(path.encode()).digest() for path in paths.iloc[test]]
    return np.sort(test[np.argsort(np.array(keys, dtype="S32"), kind="stable")[:MAX_TESTED]])


def nearest(thumbnails: np.ndarray, tested: np.ndarray, known: np.ndarray, block: int = 1024) -> np.ndarray:
    """For each position in ``tested`` the position in ``known`` with the smallest Euclidean distance; ties: the lowest.

    Exact, and so the same on every machine: grey levels become integers in -128…127, of which 1024 products add up to
    at most 2²⁴, up to where float32 holds every integer; longer sums are float64.
    """
    left = centred(thumbnails[tested])
    best, found = np.full(len(tested), np.inf), np.zeros(len(tested), dtype=np.intp)
    for start in range(0, len(known), block):
        right = centred(thumbnails[known[start : start + block]])
        distance = -2.0 * products(left, right)
        distance += np.einsum("ij,ij->i", right, right, dtype=np.float64)
        closest = distance.argmin(axis=1)
        least = distance[np.arange(len(tested)), closest]
        better = least < best
        best[better], found[better] = least[better], known[start + closest[better]]
    return found


def centred(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (n, pixels), whole numbers in -128…127."""
    return thumbnails.reshape(len(thumbnails), -1).astype(np.float32) - 128


def products(left: np.ndarray, right: np.ndarray, exact: int = 1024) -> np.ndarray:
    """Inner products, float64 (left rows, right rows)."""
    total = np.zeros((len(left), len(right)))
    for start in range(0, left.shape[1], exact):
        total += left[:, start : start + exact] @ right[:, start : start + exact].T
    return total


def score(targets: np.ndarray, predicted: np.ndarray) -> dict[str, Any] | None:
    """Accuracy and macro-F1 as in an evaluation; None without images."""
    if not len(targets):
        return None
    from mri_model.evaluation.metrics import summarise  # one definition of macro-F1; scikit-learn is slow to import

    averages = summarise(targets, predicted)
    return {
        "n": len(targets),
        "accuracy": round(averages["accuracy"], 6),
        "macro_f1": round(averages["macro_f1"], 6),
    }


def guess_by_file(frame: pd.DataFrame, classes: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Test accuracy of a small random forest that sees extension, format, stored channels, size and bytes only."""
    chosen = train | test
    facts = frame.loc[chosen, ["stored_channels", "height", "width", "n_bytes"]].astype(float).fillna(-1)
    for name in ("extension", "format"):
        facts[name] = pd.factorize(frame.loc[chosen, name], sort=True)[0]
    table = facts.to_numpy(np.float32)
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(30, max_leaf_nodes=512, random_state=0, n_jobs=1)
    forest.fit(table[train[chosen]], classes[train])
    right = int((forest.predict(table[test[chosen]]) == classes[test]).sum())
    return {"n": int(test.sum()), "accuracy": share(right, int(test.sum()))}


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def counted(values: pd.Series) -> dict[str, int]:
    """How often each value occurs: most frequent first, then by name."""
    counts = {str(value): int(n) for value, n in values.value_counts().items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def numbered(*columns: Any) -> np.ndarray:
    """A number for each row, equal where all columns are."""
    return pd.DataFrame(dict(enumerate(columns))).groupby(list(range(len(columns))), dropna=False).ngroup().to_numpy()


def n_pairs(numbers: np.ndarray) -> int:
    """How many pairs of rows carry the same number."""
    counts = np.unique(numbers, return_counts=True)[1].astype(object)
    return int((counts * (counts - 1) // 2).sum())


def chained(numbers: np.ndarray) -> np.ndarray:
    """Links (n, 2) from each row to the next with the same number."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order[:-1]] == numbers[order[1:]]
    return np.column_stack([order[:-1][same], order[1:][same]])
