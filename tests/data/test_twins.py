from pathlib import Path

import numpy as np
import pandas as pd

from mri_model.data.inventory import take_inventory
from mri_model.data.twins import find_twins, twin_pairs


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)


def found(names: list[tuple[str, str]], thumbnails: list[np.ndarray], hashes: str = "") -> pd.DataFrame:
    """``names``: (label, file name); the tumour is the label's first word."""
    frame = pd.DataFrame({"label": [label for label, _ in names], "status": "ok"})
    frame["path"] = [f"{label}/{name}" for label, name in names]
    frame["tumor"] = frame["label"].str.split().str[0]
    frame["sha256"] = list(hashes or "abcdefghij"[: len(names)])
    return find_twins(frame, np.stack(thumbnails))


def test_a_brighter_copy_is_a_twin_and_a_stranger_is_not() -> None:
    copy = np.clip(noise(1) * 0.9 + 20, 0, 255).astype(np.uint8)
    done = found([("A T1", "1"), ("A T2", "2"), ("A T1", "3")], [noise(1), copy, noise(2)])
    assert done["group"].tolist() == [0, 0, 1]
    assert done["n_twins"].tolist() == [1, 1, 0]


def test_groups_do_not_cross_tumour_types_but_twins_are_counted() -> None:
    done = found([("A T1", "1"), ("B T1", "2")], [noise(1), noise(1)])
    assert done["group"].nunique() == 2
    assert done["n_twins"].tolist() == [1, 1]
    assert done["conflict"].tolist() == [True, True]


def test_the_same_bytes_under_two_labels_are_a_conflict() -> None:
    done = found([("A T1", "1"), ("A T1C+", "2"), ("A T1", "3")], [noise(1), noise(2), noise(3)], "aab")
    assert done["conflict"].tolist() == [True, True, False]
    assert done["group"].tolist() == [0, 0, 1]


def test_a_time_stamped_series_is_one_group_until_a_minute_passes() -> None:
    stamps = ["10_00_00", "10_00_50", "10_01_40", "10_02_41"]
    names = [("A T1", f"2022-05-28 {stamp}-x.jpg") for stamp in stamps]
    done = found(names, [noise(i) for i in range(4)])
    assert done["group"].tolist() == [0, 0, 0, 1]


def test_blocks_do_not_change_the_pairs() -> None:
    images = np.stack([noise(i % 7) for i in range(20)])
    whole, blocks = twin_pairs(images), twin_pairs(images, block=3)
    assert set(zip(*whole, strict=True)) == set(zip(*blocks, strict=True))
    assert len(whole[0]) == 6 * 3 + 1  # six pictures three times, one twice


def test_rejected_files_have_no_group(own_phantom: Path) -> None:
    (own_phantom / "Meningioma T2" / "zero.jpg").touch()
    inventory = take_inventory(own_phantom)
    done = find_twins(inventory.frame, inventory.thumbnails)
    row = done[done["path"] == "Meningioma T2/zero.jpg"].iloc[0]
    assert row[["group", "n_twins", "conflict"]].isna().all()
    assert done["group"].notna().sum() == len(done) - 1
