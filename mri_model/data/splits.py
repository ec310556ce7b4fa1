"""Split a data set into training, validation and test images under two protocols."""

import hashlib
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_model.data.patients import certain_patients
from mri_model.errors import MriError

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
"""Share of the images in each split."""

PROTOCOLS = ("random", "grouped")
"""The splits that are made for every data set."""

GIVEN = "given"
"""The split that the data came with, if it came with one."""

VALIDATION_PARTS = 8
"""In cross-validation, one of so many parts of the images that are not tested chooses the epoch."""

SIZE_WEIGHT = 0.25
"""Weight of the balance of group sizes in the choice of a split."""

SPLITS = tuple(SHARES)
TRAIN, VAL, TEST = range(3)
NEEDED = {1: (TRAIN,), 2: (TRAIN, TEST)}
"""Splits that a class with so few groups must be in. A class with more groups must be in all splits."""


def add_splits(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add ``split_random`` and ``split_grouped``, complete ``split_given``; all are null for rejected files.

    The random split is stratified by class, as in the report. The grouped split puts each group in one split; images
    with conflicting labels are in none (null). The given split is that of the folders the data came in.

    Args:
        frame: Rows of an inventory with ``group`` and ``conflict``.
        seed: Another seed gives another split.
    """
    ok = frame[frame["status"] == "ok"]
    agreed = ok[~ok["conflict"].astype(bool)]
    return frame.assign(
        split_random=random_split(ok, seed).reindex(frame.index),
        split_grouped=grouped_split(agreed, seed).reindex(frame.index),
        split_given=given_split(ok, seed).reindex(frame.index),
    )


def given_split(rows: pd.DataFrame, seed: int) -> pd.Series:
    """The split that the data came with, completed by validation images if it has none.

    These are taken out of the training images, whole groups, as the grouped split of the training images does. Images
    with conflicting labels stay in training, and so does every certain patient who has one.

    Args:
        rows: Accepted images with ``path``, ``label``, ``group``, ``conflict`` and ``split_given``.
        seed: Another seed gives other validation images.

    Returns:
        ``train``, ``val``, ``test`` or None for each row; None for all if there are no training or no test images.
    """
    given = rows["split_given"].astype(object)
    if not {"train", "test"} <= set(given):
        return pd.Series(None, given.index, dtype=object)
    if "val" in set(given):
        return given
    train, conflict, patient = given == "train", rows["conflict"].astype(bool), certain_patients(rows)
    staying = patient.isin(patient[train & conflict].dropna())
    trained = rows[train & ~conflict & ~staying]
    return given.mask(grouped_split(trained, seed).reindex(given.index) == "val", "val")


def random_split(rows: pd.DataFrame, seed: int) -> pd.Series:
    """Stratified by ``label``. The totals are 70/15/15 to the image, those of a class to within one image.

    Args:
        rows: Accepted images with ``path`` and ``label``.
        seed: Another seed gives another split.

    Returns:
        ``train``, ``val`` or ``test`` for each row.
    """
    sizes = rows["label"].value_counts().sort_index()
    held_out = {split: apportion(sizes, SHARES[split]) for split in ("val", "test")}
    splits = pd.Series("train", rows.index, dtype=object)
    for label, members in shuffled(rows, "path", seed).groupby("label"):
        n_val, n_test = held_out["val"][label], held_out["test"][label]
        splits[members.index[:n_val]] = "val"
        splits[members.index[n_val : n_val + n_test]] = "test"
    return splits


def apportion(sizes: pd.Series, share: float) -> pd.Series:
    """Number of images of each class in a split, by the largest remainder method.

    A class of three or more images gets at least one, a smaller class none.

    Args:
        sizes: Number of images by class.
        share: Share of the split.
    """
    quota = sizes * share
    seats = np.floor(quota).astype(int)
    seats[(sizes >= 3) & (seats == 0)] = 1
    missing = max(0, round(sizes.sum() * share) - int(seats.sum()))
    remainder = (quota - seats).sort_values(ascending=False, kind="stable")
    seats[remainder.index[:missing]] += 1
    return seats.where(sizes >= 3, 0)


def grouped_split(rows: pd.DataFrame, seed: int) -> pd.Series:
    """Assign each group to one split, with shares as near to 70/15/15 as the groups allow.

    First every group, in order of falling size, goes to the split that needs its classes most. Then every group, in
    order of rising size, moves to a better split if there is one. With less weight than the classes, the sizes of the
    groups are balanced (1, 2–3, 4–7, 8–15 images …): no split has all large groups while another has single images.

    A class with at least three groups of its own (groups without another class) is in all three splits. If all groups
    of a class are its own, two groups give it train and test, and one group train. A class that shares its groups with
    others is in as many splits as they allow. The result depends on the members of the groups and on the seed, not on
    the order of rows or the numbers of groups.

    Args:
        rows: Accepted images with ``path``, ``label`` and ``group``.
        seed: Another seed gives another split.

    Returns:
        ``train``, ``val`` or ``test`` for each row.
    """
    groups = listed_groups(rows, seed)
    balance = Balance([group.members for group in groups])
    split = {group.number: balance.place(group) for group in groups}
    for group in reversed(groups):
        split[group.number] = balance.move(group, split[group.number])
    return rows["group"].map({number: SPLITS[chosen] for number, chosen in split.items()}).astype(object)


@dataclass(frozen=True)
class SizeRange:
    """Groups of at least 2ⁿ and less than 2ⁿ⁺¹ images, where n is ``exponent``."""

    exponent: int


Kind = str | SizeRange | None
"""What is shared out evenly: the images of a label, those of groups of about one size, and (None) all images."""


@dataclass(frozen=True)
class Group:
    """One group of images.

    Attributes:
        number: Its number in the manifest.
        members: Number of images by kind: under each label, under its ``SizeRange``, and under None the number of all.
        tie: Digest of seed and smallest path, which orders groups of equal size.
    """

    number: int
    members: dict[Kind, int]
    tie: str

    @property
    def preference(self) -> tuple[int, int, int]:
        """Order of equally good splits: train, then validation for half of the groups and test for the others."""
        return (TRAIN, VAL, TEST) if int(self.tie, 16) % 2 else (TRAIN, TEST, VAL)


def listed_groups(rows: pd.DataFrame, seed: int) -> list[Group]:
    """All groups in order of falling size."""
    members: dict[int, dict[str, int]] = defaultdict(dict)
    counts = rows.groupby(["group", "label"], as_index=False).size()
    for number, label, size in zip(counts["group"], counts["label"], counts["size"], strict=True):
        members[number][label] = int(size)
    first_paths = rows.groupby("group")["path"].min()
    groups = [Group(n, with_totals(of), seeded(first_paths[n], seed)) for n, of in members.items()]
    return sorted(groups, key=lambda group: (-group.members[None], group.tie))


def weight(kind: Kind) -> float:
    """Shares of classes and of the whole set come first."""
    return SIZE_WEIGHT if isinstance(kind, SizeRange) else 1.0


def with_totals(members: dict[str, int]) -> dict[Kind, int]:
    """Numbers of images by label, completed by the other kinds."""
    total = sum(members.values())
    kinds: dict[Kind, int] = {SizeRange(total.bit_length() - 1): total, None: total}
    return kinds | members


class Balance:
    """Number of groups and images of each kind in each split."""

    def __init__(self, groups: list[dict[Kind, int]]) -> None:
        self.left = Counter(kind for members in groups for kind in members)  # groups without a split
        self.size: Counter[Kind] = Counter()
        for members in groups:
            self.size.update(members)
        self.needed = {
            kind: NEEDED.get(n, (TRAIN, VAL, TEST)) if isinstance(kind, str) else () for kind, n in self.left.items()
        }
        self.n_groups = {kind: [0, 0, 0] for kind in self.left}
        self.n_images = {kind: [0, 0, 0] for kind in self.left}

    def place(self, group: Group) -> int:
        """Choose the split of a new group.

        A class with just enough groups left for the splits that it still must be in decides first.
        """
        urgent = [label for label in group.members if self.left[label] <= len(self.missing(label))]
        split = self.best(group, urgent, group.preference)
        self.left.subtract(group.members.keys())
        self.add(group, split, 1)
        return split

    def move(self, group: Group, split: int) -> int:
        """Move a group to a better split, unless one of its classes would lose a split that it must be in."""
        self.add(group, split, -1)
        if not any(split in self.missing(label) for label in group.members):
            split = self.best(group, list(group.members), (split, *group.preference))
        self.add(group, split, 1)
        return split

    def best(self, group: Group, labels: list[Kind], splits: tuple[int, ...]) -> int:
        """The split that most of ``labels`` still miss; if equal, the one of lowest cost; if equal, the first."""
        missing = [self.missing(label) for label in labels]
        return min(splits, key=lambda split: (-sum(split in among for among in missing), self.cost(group, split)))

    def missing(self, label: Kind) -> list[int]:
        """Splits that a class must be in and is not."""
        return [split for split in self.needed[label] if not self.n_groups[label][split]]

    def cost(self, group: Group, split: int) -> float:
        """Change of χ² = Σ weight (count − wanted)² / wanted if the group joins the split.

        The sum runs over the group's kinds. The term −2 per image is left out, because it is the same
        for all splits.
        """
        share = SHARES[SPLITS[split]]
        return sum(
            weight(kind) * n * (2 * self.n_images[kind][split] + n) / (share * self.size[kind])
            for kind, n in group.members.items()
        )

    def add(self, group: Group, split: int, sign: int) -> None:
        """Add (``sign`` 1) or remove (-1) a group."""
        for kind, n in group.members.items():
            self.n_groups[kind][split] += sign
            self.n_images[kind][split] += sign * n


def shuffled(rows: pd.DataFrame, column: str, seed: int) -> pd.DataFrame:
    """Rows in an order that depends only on the values of ``column`` and on ``seed``, not on a random generator."""
    return rows.iloc[np.argsort([seeded(value, seed) for value in rows[column]], kind="stable")]


def seeded(value: str, seed: int) -> str:
    """SHA-256 of seed and value."""
    return hashlib.sha256(f"{seed}:{value}".encode()).hexdigest()


def fold_splits(frame: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.Series:
    """The splits of one fold of grouped cross-validation.

    Args:
        frame: Rows of a manifest.
        folds: Number of folds.
        fold: The fold that is the test split, from 1. An eighth of the other images is the validation split.
        seed: Another seed gives other folds.

    Returns:
        ``train``, ``val`` or ``test`` for each row; null for rejected files and conflicting labels.

    Raises:
        MriError: If there are fewer groups than folds, or fewer images in every class, or too few images outside of the
            fold.
    """
    rows = frame[(frame["status"] == "ok") & ~frame["conflict"].fillna(False).astype(bool)]
    if rows["group"].nunique() < folds:
        raise MriError(f"{rows['group'].nunique()} groups of images cannot make {folds} folds", "use fewer folds")
    if (largest := int(rows["label"].value_counts().max())) < folds:
        raise MriError(f"no class has more than {largest} images: too few for {folds} folds", "use fewer folds")
    splits = pd.Series("train", rows.index, dtype=object)
    splits[held_out(rows, folds, fold - 1, seed)] = "test"
    rest = rows[splits == "train"]
    parts = min(VALIDATION_PARTS, rest["group"].nunique(), int(rest["label"].value_counts().max()))
    if parts < 2:
        raise MriError("the images outside of a fold cannot be divided into training and validation", "use more images")
    splits[held_out(rest, parts, 0, seed)] = "val"
    return splits.reindex(frame.index)


def held_out(rows: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.Index:
    """Index of the images of one fold, from 0, when whole groups are shared out stratified by class."""
    from sklearn.model_selection import StratifiedGroupKFold  # ingestion does not need it, and it is slow to import

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns of classes with fewer images than folds
        chosen = [positions for _, positions in splitter.split(rows, rows["label"], rows["group"])]
    return rows.index[chosen[fold]]
