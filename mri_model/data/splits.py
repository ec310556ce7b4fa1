"""Train, validation and test: 70/15/15 under two protocols."""

import hashlib
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.errors import MriError

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
PROTOCOLS = ("random", "grouped")

SPLITS = tuple(SHARES)
TRAIN, VAL, TEST = range(3)
NEEDED = {1: (TRAIN,), 2: (TRAIN, TEST)}
"""The splits on which a class of so few groups should have some; with more, on all."""


def add_splits(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add ``split_random`` and ``split_grouped`` (``train``/``val``/``test``, null where rejected).

    ``random`` is stratified by class and looks at nothing else, as the report does. ``grouped`` keeps each group on one
    split and leaves conflicting images out (null).
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
    held_out = {split: apportion(sizes, SHARES[split]) for split in ("val", "test")}
    splits = pd.Series("train", rows.index, dtype=object)
    for label, members in shuffled(rows, "path", seed).groupby("label"):
        n_val, n_test = held_out["val"][label], held_out["test"][label]
        splits[members.index[:n_val]] = "val"
        splits[members.index[n_val : n_val + n_test]] = "test"
    return splits


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
    """Assign whole groups to splits: largest first, each to the split that lacks most of it; then, smallest first,
    each moves to a better split if there is one.

    ``rows`` has ``path``, ``label`` and ``group``. A class with three groups or more that hold no other class is in
    all three splits. If no group of a class holds another class, two groups give it train and test, and one train.
    A class that shares its groups is in as many splits as the others allow. Shares are near 70/15/15 unless a class has
    too few or too large groups. The result depends on the groups' members and ``seed``, not on the order of rows or on
    the groups' numbers.
    """
    groups = listed_groups(rows, seed)
    balance = Balance([group.members for group in groups])
    split = {group.number: balance.place(group) for group in groups}
    for group in reversed(groups):
        split[group.number] = balance.move(group, split[group.number])
    return rows["group"].map({number: SPLITS[chosen] for number, chosen in split.items()}).astype(object)


@dataclass(frozen=True)
class Group:
    """``members`` counts images by label, all of them under None; ``tie`` is a seeded digest of the smallest path."""

    number: int
    members: dict[str | None, int]
    tie: str

    @property
    def preference(self) -> tuple[int, int, int]:
        """Which split comes first where all is equal: train, then validation for one half of the groups."""
        return (TRAIN, VAL, TEST) if int(self.tie, 16) % 2 else (TRAIN, TEST, VAL)


def listed_groups(rows: pd.DataFrame, seed: int) -> list[Group]:
    """All groups, largest first."""
    members: dict[int, dict[str | None, int]] = defaultdict(dict)
    counts = rows.groupby(["group", "label"], as_index=False).size()
    for number, label, size in zip(counts["group"], counts["label"], counts["size"], strict=True):
        members[number][label] = int(size)
    first_paths = rows.groupby("group")["path"].min()
    groups = [Group(n, {**of, None: sum(of.values())}, seeded(first_paths[n], seed)) for n, of in members.items()]
    return sorted(groups, key=lambda group: (-group.members[None], group.tie))


class Balance:
    """What each split has of each class, and of all images (None), as groups come and move."""

    def __init__(self, groups: list[dict[str | None, int]]) -> None:
        self.left = Counter(label for members in groups for label in members)  # groups that have no split yet
        self.size: Counter[str | None] = Counter()
        for members in groups:
            self.size.update(members)
        self.needed = {label: NEEDED.get(n, (TRAIN, VAL, TEST)) if label else () for label, n in self.left.items()}
        self.n_groups = {label: [0, 0, 0] for label in self.left}
        self.n_images = {label: [0, 0, 0] for label in self.left}

    def place(self, group: Group) -> int:
        """Give a new group its split: one its classes must not miss, where they have no groups to spare."""
        urgent = [label for label in group.members if self.left[label] <= len(self.missing(label))]
        split = self.best(group, urgent, group.preference)
        self.left.subtract(group.members.keys())
        self.add(group, split, 1)
        return split

    def move(self, group: Group, split: int) -> int:
        """Take a group to a better split if there is one and none of its classes loses a split it needs."""
        self.add(group, split, -1)
        if not any(split in self.missing(label) for label in group.members):
            split = self.best(group, list(group.members), (split, *group.preference))
        self.add(group, split, 1)
        return split

    def best(self, group: Group, labels: list[str | None], splits: tuple[int, ...]) -> int:
        """The split that most of ``labels`` need and have nothing on; then the cheapest; then the first."""
        missing = [self.missing(label) for label in labels]
        return min(splits, key=lambda split: (-sum(split in among for among in missing), self.cost(group, split)))

    def missing(self, label: str | None) -> list[int]:
        return [split for split in self.needed[label] if not self.n_groups[label][split]]

    def cost(self, group: Group, split: int) -> float:
        """What the group adds there to χ² = Σ (has − wanted)² / wanted, summed over its classes and all images.

        The same for all splits, and left out: −2 for each image.
        """
        share = SHARES[SPLITS[split]]
        return sum(
            n * (2 * self.n_images[label][split] + n) / (share * self.size[label]) for label, n in group.members.items()
        )

    def add(self, group: Group, split: int, sign: int) -> None:
        for label, n in group.members.items():
            self.n_groups[label][split] += sign
            self.n_images[label][split] += sign * n


def shuffled(rows: pd.DataFrame, column: str, seed: int) -> pd.DataFrame:
    """Rows in an order that depends on ``column`` and ``seed`` alone, on no library's random generator."""
    return rows.iloc[np.argsort([seeded(value, seed) for value in rows[column]], kind="stable")]


def seeded(value: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{value}".encode()).hexdigest()


def fold_splits(frame: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.Series:
    """Sides of one fold (from 1) of cross-validation that keeps each group in one fold: ``test`` is that fold, ``val``
    the next, ``train`` the rest; null where rejected or conflicting.

    Raises MriError where there are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # ingestion does without its import time

    rows = frame[(frame["status"] == "ok") & ~frame["conflict"].fillna(False).astype(bool)]
    if rows["group"].nunique() < folds:
        raise MriError(f"{rows['group'].nunique()} groups of images cannot make {folds} folds", "use fewer folds")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    numbers = pd.Series(0, rows.index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer images than folds
        for number, (_, held_out) in enumerate(splitter.split(rows, rows["label"], rows["group"])):
            numbers.iloc[held_out] = number
    splits = pd.Series("train", rows.index, dtype=object)
    splits[numbers == fold % folds] = "val"
    splits[numbers == fold - 1] = "test"
    return splits.reindex(frame.index)
