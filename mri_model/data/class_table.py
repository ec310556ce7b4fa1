"""Numbers of images and groups of each class."""

import pandas as pd

from mri_model.data.manifest import Manifest
from mri_model.data.splits import SHARES


def class_table(manifest: Manifest) -> pd.DataFrame:
    """One row per class in order: ``position``, ``label``, ``tumor``, ``contrast`` and numbers of images.

    The numbers are ``n_ok``, ``n_train``, ``n_val`` and ``n_test`` of the random protocol, ``n_train_grouped``,
    ``n_val_grouped`` and ``n_test_grouped``. ``n_groups`` is the number of groups (``groups_per_class``).
    """
    ok = manifest.frame[manifest.frame["status"] == "ok"]
    table = pd.DataFrame(
        [(i, label.name, label.tumor, label.contrast) for i, label in enumerate(manifest.labels)],
        columns=["position", "label", "tumor", "contrast"],
    )
    table["n_ok"] = ok["label"].value_counts().reindex(table["label"], fill_value=0).to_numpy()
    table["n_groups"] = groups_per_class(manifest.frame).reindex(table["label"], fill_value=0).to_numpy()
    for protocol, suffix in (("random", ""), ("grouped", "_grouped")):
        partition = manifest.partition(protocol)
        for split in SHARES:
            counts = partition.rows(split)["label"].value_counts()
            table[f"n_{split}{suffix}"] = counts.reindex(table["label"], fill_value=0).to_numpy()
    return table


def groups_per_class(frame: pd.DataFrame) -> "pd.Series[int]":
    """Number of groups by label in the grouped split, so without images that have more than one label.

    Images of one group are probably of one source, so this is how many independent observations a class has.
    """
    counted = frame[(frame["status"] == "ok") & ~frame["conflict"].fillna(False).astype(bool)]
    return counted.groupby("label")["group"].nunique()
