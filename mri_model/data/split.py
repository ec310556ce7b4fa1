"""Train, validation and test: 70/15/15 under two protocols."""

import hashlib

import numpy as np
import pandas as pd

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
PROTOCOLS = ("random", "grouped")


def split(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add ``split_random`` and ``split_grouped`` (``train``/``val``/``test``, null where rejected).

    ``random`` is stratified by class and looks at nothing else, as the report does. ``grouped`` keeps each group on one
    side and leaves conflicting images out (null).
    """
    ok = frame[frame["status"] == "ok"]
    agreed = ok[~ok["conflict"].astype(bool)]
    return frame.assign(
        split_random=random_split(ok, seed).reindex(frame.index),
        split_grouped=grouped_split(agreed, seed).reindex(frame.index),
    )


def random_split(rows: pd.DataFrame, seed: int) -> pd.Series:
    """Stratified by ``label``; the whole comes out at 70/15/15 to the image, each class to within one."""
    sizes = rows["label"].value_counts().sort_index()
    held_out = {side: apportion(sizes, SHARES[side]) for side in ("val", "test")}
    sides = pd.Series("train", rows.index, dtype=object)
    for label, members in shuffled(rows, "path", seed).groupby("label"):
        n_val, n_test = held_out["val"][label], held_out["test"][label]
        sides[members.index[:n_val]] = "val"
        sides[members.index[n_val : n_val + n_test]] = "test"
    return sides


def apportion(sizes: pd.Series, share: float) -> pd.Series:
    """How many of each class: largest remainders, at least one from a class of three or more."""
    quota = sizes * share
    seats = np.floor(quota).astype(int)
    seats[(sizes >= 3) & (seats == 0)] = 1
    missing = max(0, round(sizes.sum() * share) - int(seats.sum()))
    remainder = (quota - seats).sort_values(ascending=False, kind="stable")
    seats[remainder.index[:missing]] += 1
    return seats.where(sizes >= 3, 0)


def grouped_split(rows: pd.DataFrame, seed: int) -> pd.Series:
    """Whole groups, largest first, each to the side that lacks most of the group's classes.

    A class whose last groups are just enough for the sides that have none of it yet gives them to those sides.
    """
    counts = pd.crosstab(rows["group"], rows["label"])
    sizes = counts.sum().to_numpy(float)
    shares = np.array(list(SHARES.values()))
    wanted = np.outer(shares, sizes)
    filled = np.zeros(wanted.shape, dtype=bool)
    left = (counts > 0).sum().to_numpy(copy=True)
    order = counts.assign(size=counts.sum(axis=1), tie=[seeded(str(group), seed) for group in counts.index])
    chosen = {}
    for group in order.sort_values(["size", "tie"], ascending=[False, True]).index:
        members = counts.loc[group].to_numpy(float)
        present = members > 0
        empty = ~filled[:, present]
        last = left[present] <= empty.sum(axis=0)
        allowed = empty[:, last].any(axis=1) if last.any() else np.ones(len(shares), dtype=bool)
        lack = ((wanted - members / 2) / sizes)[:, present] @ members[present] / np.sqrt(shares)
        side = int(np.argmax(np.where(allowed, lack, -np.inf)))
        wanted[side] -= members
        filled[side] |= present
        left[present] -= 1
        chosen[group] = list(SHARES)[side]
    return rows["group"].map(chosen).astype(object)


def shuffled(rows: pd.DataFrame, column: str, seed: int) -> pd.DataFrame:
    """Rows in an order that depends on ``column`` and ``seed`` alone, on no library's random generator."""
    return rows.iloc[np.argsort([seeded(value, seed) for value in rows[column]], kind="stable")]


def seeded(value: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{value}".encode()).hexdigest()
