"""Which images are copies of which: the groups a split must not tear apart."""

import math
import re
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mri_model.progress import Tick, silent

TWIN_CORRELATION = 0.95
"""Pearson correlation of 64×64 grey thumbnails from which two images count as twins."""

RUN_SECONDS = 60
"""Time-stamped files of one tumour at most this far apart belong to one series."""

TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d_\d\d_\d\d)")


def find_twins(frame: pd.DataFrame, thumbnails: np.ndarray, tick: Tick = silent) -> pd.DataFrame:
    """Add ``group``, ``n_twins`` and ``conflict`` to an inventory; null where a file was rejected.

    Images of one tumour type share a group when they are linked by a chain of: the same bytes, a correlation of at
    least ``TWIN_CORRELATION``, or file-name times of one run. ``n_twins`` counts the images of any type that reach the
    correlation. ``conflict`` marks the same bytes, or the same thumbnail, under two labels.
    """
    ok = np.flatnonzero(frame["status"] == "ok")
    rows = frame.iloc[ok].reset_index(drop=True)
    tumor = rows["tumor"].to_numpy()
    first, second = twin_pairs(thumbnails[ok], tick)
    same_tumor = tumor[first] == tumor[second]
    runs = np.array(list(series_links(rows)), dtype=np.intp).reshape(-1, 2)
    links = np.concatenate([np.column_stack([first, second])[same_tumor], chain(rows, ["tumor", "sha256"]), runs])
    group = connected(links, len(rows))
    looks = rows.assign(look=[small.tobytes() for small in thumbnails[ok]])
    found = pd.DataFrame(
        {
            "group": group,
            "n_twins": np.bincount(np.concatenate([first, second]), minlength=len(rows)),
            "conflict": labels_differ(looks, "sha256") | labels_differ(looks, "look"),
        },
        index=frame.index[ok],
    )
    return frame.assign(
        group=found["group"].astype("Int64").reindex(frame.index),
        n_twins=found["n_twins"].astype("Int64").reindex(frame.index),
        conflict=found["conflict"].astype("boolean").reindex(frame.index),
    )


def twin_pairs(thumbnails: np.ndarray, tick: Tick = silent, block: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Positions (first < second) of all pairs that reach the correlation, block by block, never an n×n matrix."""
    flat = thumbnails.reshape(len(thumbnails), math.prod(thumbnails.shape[1:])).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    firsts, seconds = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for start in range(0, len(flat), block):
        tick("twins", start, len(flat))
        row, column = np.nonzero(flat[start : start + block] @ flat[start:].T >= TWIN_CORRELATION)
        keep = row < column
        firsts.append(row[keep] + start)
        seconds.append(column[keep] + start)
    tick("twins", len(flat), len(flat))
    return np.concatenate(firsts), np.concatenate(seconds)


def series_links(rows: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Neighbours in time within a tumour type."""
    times = rows["path"].str.rpartition("/")[2].map(name_time)
    stamped = pd.DataFrame({"tumor": rows["tumor"], "time": times})[times.notna()]
    for _, series in stamped.sort_values("time", kind="stable").groupby("tumor"):
        positions, seconds = series.index.to_numpy(), series["time"].to_numpy(np.float64)
        near = np.diff(seconds) <= RUN_SECONDS
        yield from zip(positions[:-1][near], positions[1:][near], strict=True)


def name_time(name: str) -> float | None:
    """Seconds since 1970 of the time stamp in a file name, taken as UTC."""
    found = TIMESTAMP.search(name)
    if not found:
        return None
    try:
        return datetime.strptime(found[1] + "+0000", "%Y-%m-%d %H_%M_%S%z").timestamp()
    except ValueError:
        return None


def chain(rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Links (n, 2) from each row to the next that agrees with it in ``columns``."""
    following = pd.Series(rows.index, rows.index).groupby([rows[column] for column in columns]).shift(-1)
    linked = following.dropna()
    return np.column_stack([linked.index, linked.astype(np.intp)])


def connected(links: np.ndarray, n: int) -> np.ndarray:
    """Component number of each of ``n`` rows, numbered in order of first appearance."""
    ones = np.ones(len(links), dtype=bool)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(n, n))
    return pd.factorize(connected_components(graph, directed=False)[1])[0]


def labels_differ(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Whether rows that agree in ``column`` stand under more than one label."""
    return (rows.groupby(column)["label"].transform("nunique") > 1).to_numpy()
