import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_model.data.split import SHARES, random_split, split


def rows(sizes: list[int], group_size: int = 1) -> pd.DataFrame:
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    frame = pd.DataFrame({"label": labels, "path": [f"{label}/{i}.jpg" for i, label in enumerate(labels)]})
    frame["group"] = np.arange(len(frame)) // group_size
    return frame.assign(status="ok", conflict=False)


sizes = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(sizes, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_random_split_gives_every_class_its_share_to_within_one(counts: list[int], seed: int) -> None:
    frame = rows(counts)
    sides = random_split(frame, seed)
    assert set(sides) <= set(SHARES)
    assert sides.notna().all()
    for number, size in enumerate(counts):
        got = sides[frame["label"] == f"class {number}"].value_counts()
        for side in ("val", "test"):
            assert abs(got.get(side, 0) - SHARES[side] * size) <= 1 or size < 7
            assert size < 3 or got.get(side, 0) >= 1
        assert got.get("train", 0) >= 1


def test_random_split_of_the_published_size_is_the_reports_to_the_image() -> None:
    sides = random_split(rows([101] * 43 + [4479 - 101 * 43]), seed=0)
    assert sides.value_counts().to_dict() == {"train": 3135, "val": 672, "test": 672}


@given(sizes, st.integers(1, 9), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_grouped_split_never_tears_a_group(counts: list[int], group_size: int, seed: int) -> None:
    frame = split(rows(counts, group_size), seed)
    assert frame["split_grouped"].notna().all()
    assert (frame.groupby("group")["split_grouped"].nunique() == 1).all()


def test_grouped_split_keeps_to_its_shares_and_reaches_every_class() -> None:
    frame = split(rows([60] * 20, group_size=3), seed=0)
    shares = frame["split_grouped"].value_counts(normalize=True)
    assert all(abs(shares[side] - share) < 0.02 for side, share in SHARES.items())
    assert (frame.groupby("label")["split_grouped"].nunique() == 3).all()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 12), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_class_reaches_as_many_sides_as_it_has_groups(counts: list[int], group_size: int, seed: int) -> None:
    frame = pd.concat(
        [rows([size], group_size).assign(label=str(i)) for i, size in enumerate(counts)], ignore_index=True
    )
    frame["group"] = pd.factorize(frame["label"] + ":" + frame["group"].astype(str))[0]
    classes = split(frame, seed).groupby("label")
    assert (classes["split_grouped"].nunique() == classes["group"].nunique().clip(upper=3)).all()


def test_rejected_rows_have_no_side_and_conflicts_no_grouped_one() -> None:
    frame = rows([10, 10])
    frame.loc[0, "status"] = "rejected"
    frame.loc[1, "conflict"] = True
    done = split(frame, seed=0)
    assert done.loc[0, ["split_random", "split_grouped"]].isna().all()
    assert pd.notna(done.loc[1, "split_random"])
    assert pd.isna(done.loc[1, "split_grouped"])


def test_the_split_follows_the_seed_and_not_the_order_of_rows() -> None:
    frame = rows([30, 20])
    again = random_split(frame.sample(frac=1, random_state=1), seed=3).sort_index()
    assert random_split(frame, seed=3).equals(again)
    assert not random_split(frame, seed=4).equals(again)
