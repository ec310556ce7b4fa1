import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn, idctn

from mri_model.data import near_duplicates as module
from mri_model.data import similarity as similarity_module
from mri_model.data.comparison import compare_images
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.hog import HOG_LENGTH, HOG_SIZE, hog
from mri_model.data.inventory import take_inventory
from mri_model.data.near_duplicates import (
    NEAR_DUPLICATE_CORRELATION,
    NearDuplicates,
    pair_kinds,
)
from mri_model.data.phash import hash_links, perceptual_hashes
from mri_model.data.same_source import connected


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)


def blend(one: np.ndarray, other: np.ndarray, weight: float) -> np.ndarray:
    return np.rint(one * (1 - weight) + other * weight).astype(np.uint8)


def blank(grey: int) -> np.ndarray:
    return np.full((64, 64), grey, np.uint8)


def fingerprints(thumbnails: np.ndarray) -> Fingerprints:
    """Of thumbnails (n, 64, 64); edges are those of the thumbnails at half their size."""
    smaller = [cv2.resize(thumbnail, (32, 32), interpolation=cv2.INTER_AREA) for thumbnail in thumbnails]
    larger = [cv2.resize(image, (HOG_SIZE, HOG_SIZE)) for image in smaller]
    descriptors = np.array([hog(grey) for grey in larger], np.uint8).reshape(len(thumbnails), HOG_LENGTH)
    return Fingerprints(np.asarray(thumbnails, np.uint8), descriptors)


def compare(frame: pd.DataFrame, thumbnails: np.ndarray) -> tuple[pd.DataFrame, NearDuplicates]:
    compared = compare_images(frame, fingerprints(thumbnails))
    return compared.frame, compared.near_duplicates


def inventory(names: list[tuple[str, str]], hashes: str = "") -> pd.DataFrame:
    """``names``: (label, file name); the tumor is the label's first word."""
    frame = pd.DataFrame({"label": [label for label, _ in names], "status": "ok"})
    frame["path"] = [f"{label}/{name}" for label, name in names]
    frame["tumor"] = frame["label"].str.split().str[0]
    frame["patient"] = None
    frame["sha256"] = list(hashes) or [str(number) for number in range(len(frame))]
    return frame


def found(names: list[tuple[str, str]], thumbnails: list[np.ndarray], hashes: str = "") -> pd.DataFrame:
    return compare(inventory(names, hashes), np.stack(thumbnails))[0]


def one_class(n: int) -> pd.DataFrame:
    return inventory([("A T1", str(number)) for number in range(n)])


def family(n: int, seed: int = 0) -> np.ndarray:
    """Pictures (n, 64, 64) of a few families; within one, correlations lie on both sides of the threshold."""
    rng = np.random.default_rng(seed)
    parents, weights = rng.integers(0, 6, n), rng.uniform(0, 0.3, n)
    return np.stack(
        [blend(noise(p), noise(1000 + i), w) for i, (p, w) in enumerate(zip(parents, weights, strict=True))]
    )


def reference(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All duplicate pairs in float64."""
    correlation = np.corrcoef(thumbnails.reshape(len(thumbnails), -1).astype(np.float64))
    first, second = np.nonzero(np.triu(correlation >= NEAR_DUPLICATE_CORRELATION, 1))
    return first, second, correlation[first, second]


def test_a_brighter_copy_is_a_near_duplicate_and_another_picture_is_not() -> None:
    copy = np.clip(noise(1) * 0.9 + 20, 0, 255).astype(np.uint8)
    done = found([("A T1", "1"), ("A T2", "2"), ("A T1", "3")], [noise(1), copy, noise(2)])
    assert done["group"].tolist() == [0, 0, 1]
    assert done["n_near_duplicates"].tolist() == [1, 1, 0]


def test_pairs_are_those_of_a_float64_reference_near_the_threshold_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity_module, "TILE", 64)
    thumbnails = family(400)
    done, duplicates = compare(one_class(400), thumbnails)
    first, second, correlation = reference(thumbnails)
    assert (abs(correlation - NEAR_DUPLICATE_CORRELATION) < 0.002).sum() > 20
    assert duplicates.first.tolist() == first.tolist()
    assert duplicates.second.tolist() == second.tolist()
    assert np.array_equal(duplicates.correlation, correlation.astype(np.float32))
    assert (duplicates.first.dtype, duplicates.second.dtype, duplicates.complete) == (np.int32, np.int32, True)
    assert done["n_near_duplicates"].tolist() == np.bincount(np.concatenate([first, second]), minlength=400).tolist()


@pytest.mark.parametrize("tile", [7, 50, 1024])
def test_tiles_and_density_do_not_change_the_answer(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = np.concatenate([family(60), family(20)])  # twenty pictures twice
    done, duplicates = compare(one_class(80), thumbnails)
    monkeypatch.setattr(similarity_module, "TILE", tile)
    again, pairs = compare(one_class(80), thumbnails)
    assert again.equals(done)
    assert all(
        np.array_equal(getattr(pairs, name), getattr(duplicates, name)) for name in ("first", "second", "correlation")
    )


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_a_bit() -> None:
    code = (
        "import hashlib; from test_comparison import family, one_class, compare;"
        "done, pairs = compare(one_class(300), family(300));"
        "arrays = [pairs.first, pairs.second, pairs.correlation];"
        "arrays += [done[name].to_numpy('int64') for name in ('group', 'n_near_duplicates')];"
        "print(hashlib.sha256(b''.join(array.tobytes() for array in arrays)).hexdigest())"
    )
    root = Path(__file__).parent
    environment = {"PYTHONPATH": f"{root}:{root.parents[1]}", "PATH": ""}
    answers = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "8")
    ]
    assert len(answers[0]) > 60
    assert answers[0] == answers[1]


def test_the_order_of_rows_does_not_change_counts_and_groups() -> None:
    thumbnails, order = family(120), np.random.default_rng(5).permutation(120)
    straight, mixed = (
        compare(one_class(120), thumbnails)[0],
        compare(one_class(120), thumbnails[order])[0],
    )
    assert mixed["n_near_duplicates"].tolist() == straight["n_near_duplicates"].to_numpy()[order].tolist()
    together = pd.Series(mixed["group"].to_numpy()).groupby(straight["group"].to_numpy()[order]).nunique()
    assert (together == 1).all()
    assert mixed["group"].nunique() == straight["group"].nunique()


def test_groups_do_not_cross_tumor_types_but_near_duplicates_are_counted() -> None:
    done = found([("A T1", "1"), ("B T1", "2")], [noise(1), noise(1)])
    assert done["group"].nunique() == 2
    assert done["n_near_duplicates"].tolist() == [1, 1]
    assert done["conflict"].tolist() == [True, True]


def test_the_same_bytes_under_two_labels_are_a_conflict() -> None:
    done = found([("A T1", "1"), ("A T1C+", "2"), ("A T1", "3")], [noise(1), noise(2), noise(3)], "aab")
    assert done["conflict"].tolist() == [True, True, False]
    assert done["group"].tolist() == [0, 0, 1]


def test_a_picture_encoded_twice_under_two_labels_is_a_conflict_and_a_near_duplicate_is_not() -> None:
    encoded, near = blend(noise(1), noise(2), 0.02), blend(noise(1), noise(3), 0.15)
    names = [("A T1", "1"), ("A T2", "2"), ("A T1", "3"), ("A T2", "4")]
    done, duplicates = compare(inventory(names), np.stack([noise(1), encoded, blend(noise(1), noise(4), 0.02), near]))
    assert done["conflict"].tolist() == [True, True, True, False]
    assert done["n_near_duplicates"].tolist() == [3, 3, 3, 3]
    assert (
        pair_kinds(done, duplicates).tolist()
        == ["same picture"] * 2 + ["near duplicate", "same picture"] + ["near duplicate"] * 2
    )


def test_a_blank_picture_is_a_near_duplicate_of_equal_pictures_only() -> None:
    names = [("A T1", str(number)) for number in range(5)]
    done, duplicates = compare(inventory(names), np.stack([blank(0), blank(9), blank(0), noise(1), blank(200)]))
    assert done["n_near_duplicates"].tolist() == [1, 0, 1, 0, 0]
    assert done["group"].tolist() == [0, 1, 0, 2, 3]
    assert duplicates.correlation.tolist() == [1]


def test_one_blank_picture_under_two_labels_is_a_conflict() -> None:
    done = found([("A T1", "1"), ("B T1", "2"), ("B T1", "3")], [blank(0), blank(0), blank(1)])
    assert done["conflict"].tolist() == [True, True, False]
    assert done["n_near_duplicates"].tolist() == [1, 1, 0]


def waves() -> np.ndarray:
    """A smooth picture whose 64 lowest frequencies all matter: mean 0, standard deviation 1."""
    amplitudes = np.zeros((64, 64))
    amplitudes[:8, :8] = np.random.default_rng(4).normal(size=(8, 8))
    picture = idctn(amplitudes)
    return (picture - picture.mean()) / picture.std()


def grained(picture: np.ndarray, strength: float) -> np.ndarray:
    """Add a chequered grain that every smaller copy of the picture averages away."""
    grain = strength * (-1) ** np.add.outer(np.arange(64), np.arange(64))
    return np.rint(np.clip(128 + picture + grain, 0, 255)).astype(np.uint8)


def test_a_grainy_copy_that_correlates_less_is_grouped_by_its_perceptual_hash() -> None:
    pictures = [grained(30 * waves(), strength) for strength in (0, 20, 20)] + [noise(seed) for seed in range(9)]
    names = [("A T1", "1"), ("A T1", "2"), ("B T1", "3"), *(("C T1", str(seed)) for seed in range(9))]
    done = found(names, pictures)
    assert np.corrcoef(pictures[0].ravel(), pictures[1].ravel())[0, 1] < NEAR_DUPLICATE_CORRELATION
    assert done["group"].tolist() == [0, 0, *range(1, 11)]
    assert done["n_near_duplicates"].tolist() == [0, 1, 1] + [0] * 9


def test_pictures_almost_blank_are_not_grouped_by_their_perceptual_hash() -> None:
    pictures = [grained(3 * waves(), strength) for strength in (0, 2)]
    hashes = perceptual_hashes(np.stack(pictures))
    assert np.bitwise_count(hashes[0] ^ hashes[1]) <= 2
    assert found([("A T1", "1"), ("A T1", "2")], pictures)["group"].tolist() == [0, 1]


@pytest.mark.slow
def test_twenty_thousand_identical_pictures_are_one_group_and_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 1000)
    done, duplicates = compare(one_class(20_000), np.broadcast_to(noise(1), (20_000, 64, 64)))
    assert (done["group"] == 0).all()
    assert (done["n_near_duplicates"] == 19_999).all()
    assert (len(duplicates.first), duplicates.complete) == (1000, False)


def test_counts_and_groups_stay_exact_beyond_the_pairs_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = np.concatenate([family(90), family(30)])
    done, duplicates = compare(one_class(120), thumbnails)
    monkeypatch.setattr(module, "MAX_KEPT", len(duplicates.first))
    assert compare(one_class(120), thumbnails)[1].complete
    monkeypatch.setattr(module, "MAX_KEPT", 50)
    again, some = compare(one_class(120), thumbnails)
    assert again.equals(done)
    assert (len(some.first), some.complete) == (50, False)
    assert set(zip(some.first, some.second, strict=True)) <= set(zip(duplicates.first, duplicates.second, strict=True))


def test_every_pair_of_identical_pictures_is_kept_where_they_are_few() -> None:
    thumbnails = np.stack([noise(number % 3) for number in range(8)])
    duplicates = compare(one_class(8), thumbnails)[1]
    assert list(zip(duplicates.first, duplicates.second, strict=True)) == list(
        zip(*reference(thumbnails)[:2], strict=True)
    )
    assert (duplicates.correlation == 1).all()


def test_positions_are_those_of_the_whole_inventory() -> None:
    frame = one_class(5)
    frame.loc[[0, 2], "status"] = "rejected"
    done, duplicates = compare(frame, np.stack([blank(0), noise(1), blank(0), noise(2), noise(1)]))
    assert (duplicates.first.tolist(), duplicates.second.tolist()) == ([1], [4])
    assert done["n_near_duplicates"].tolist() == [pd.NA, 1, pd.NA, 0, 1]


def test_rejected_files_have_no_group(own_phantom: Path) -> None:
    (own_phantom / "Meningioma T2" / "zero.jpg").touch()
    taken = take_inventory(own_phantom)
    done, _ = compare(taken.frame, taken.fingerprints.thumbnails)
    row = done[done["path"] == "Meningioma T2/zero.jpg"].iloc[0]
    assert row[["group", "n_near_duplicates", "conflict"]].isna().all()
    assert done["group"].notna().sum() == len(done) - 1


@pytest.mark.parametrize("n", [0, 1])
def test_no_picture_or_one_has_no_near_duplicate(n: int) -> None:
    done, duplicates = compare(one_class(2).iloc[:n].reset_index(drop=True), np.zeros((n, 64, 64), np.uint8))
    assert done["n_near_duplicates"].tolist() == [0] * n
    assert (len(duplicates.first), duplicates.complete) == (0, True)


def test_progress_rises_to_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity_module, "TILE", 10)
    calls: list[tuple[str, int, int]] = []
    compare_images(one_class(40), fingerprints(family(40)), lambda *call: calls.append(call))
    assert calls == [("compare", done, 20) for done in range(21)]


def test_a_time_stamped_series_is_one_group_until_a_minute_passes() -> None:
    stamps = ["10_00_00", "10_00_50", "10_01_40", "10_02_41"]
    names = [("A T1", f"2022-05-28 {stamp}-x.jpg") for stamp in stamps]
    done = found(names, [noise(i) for i in range(4)])
    assert done["group"].tolist() == [0, 0, 0, 1]


def test_the_images_of_a_patient_are_one_group_within_a_tumor_type() -> None:
    frame = inventory([("A T1", "a"), ("A T2", "b"), ("A T1", "c"), ("B T1", "d"), ("A T1", "e")])
    frame["patient"] = ["p1", "p1", "p2", "p1", None]
    done, _ = compare(frame, np.stack([noise(i) for i in range(5)]))
    assert done["group"].tolist() == [0, 0, 1, 2, 3]


def test_the_images_of_a_certain_patient_are_one_group_over_all_tumor_types() -> None:
    frame = inventory([("A T1", "a"), ("B T1", "b"), ("A T1", "c"), ("B T1", "d"), ("A T1", "e"), ("B T1", "f")])
    frame["patient"] = ["p1", "p1", "p2", "p2", "p2", "p3"]
    frame["series"] = ["s1", "s2", None, None, None, "s3"]
    done, _ = compare(frame, np.stack([noise(i) for i in range(6)]))
    # the third, fourth and fifth lie in folders called p2: another p2 under each tumor type
    assert done["group"].tolist() == [0, 0, 1, 2, 1, 3]


def test_images_of_other_formats_join_the_patient_of_their_folder() -> None:
    frame = inventory([("A T1", "a"), ("A T1", "b"), ("A T1", "c"), ("A T1", "d"), ("B T1", "e")])
    frame["patient"] = ["hash", "p1", "p1", "p1", "p1"]
    frame["series"] = ["s1", "s2", None, None, None]
    frame["patient_folder"] = ["p1", "p1", "p1", "p2", "p1"]
    done, _ = compare(frame, np.stack([noise(i) for i in range(5)]))
    assert done["group"].tolist() == [0, 0, 0, 0, 1]


def test_a_frame_with_empty_series_is_grouped_as_one_without_the_column() -> None:
    frame = inventory([("A T1", "a"), ("A T2", "b"), ("A T1", "c"), ("B T1", "d"), ("A T1", "e")])
    frame["patient"] = ["p1", "p1", "p2", "p1", None]
    thumbnails = np.stack([noise(i) for i in range(5)])
    done, _ = compare(frame.assign(series=None), thumbnails)
    assert done["group"].equals(compare(frame, thumbnails)[0]["group"])


def test_each_pair_has_its_kind() -> None:
    duplicates = NearDuplicates(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([1, 0.9995, 0.99], np.float32))
    kinds = pair_kinds(pd.DataFrame({"sha256": ["a", "a", "b"]}), duplicates)
    assert kinds.tolist() == ["same bytes", "same picture", "near duplicate"]


def test_two_slices_of_one_file_are_not_the_same_bytes() -> None:
    duplicates = NearDuplicates(np.array([0, 0, 3]), np.array([1, 2, 4]), np.array([1, 1, 1], np.float32))
    paths = ["a.nii#z=1", "a.nii#z=2", "copy.nii#z=1", "x#z=1", "x#z=2"]
    frame = pd.DataFrame({"path": paths, "sha256": list("aaabb"), "series": ["s", "s", "t", None, None]})
    assert pair_kinds(frame, duplicates).tolist() == ["same picture", "same bytes", "same bytes"]


base = st.integers(0, 2**64 - 1)
steps = st.lists(st.tuples(st.integers(0, 8), st.lists(st.integers(0, 63), max_size=4)), max_size=40)


@given(st.lists(base, min_size=1, max_size=6), steps)
@settings(max_examples=100, deadline=None)
def test_hash_links_connect_what_a_comparison_of_all_pairs_connects(seeds: list[int], walk: list) -> None:
    values = list(seeds)
    for origin, bits in walk:
        values.append(values[origin % len(values)] ^ sum(1 << bit for bit in set(bits)))
    hashes = np.array(values, np.uint64)
    near = np.argwhere(np.triu(np.bitwise_count(hashes[:, None] ^ hashes) <= 2, 1))
    assert connected(hash_links(hashes), len(hashes)).tolist() == connected(near, len(hashes)).tolist()


def test_links_stay_few_however_similar_the_hashes_are() -> None:
    hashes = np.repeat(np.arange(200, dtype=np.uint64), 100)
    assert len(hash_links(hashes)) < 65 * 200 + len(hashes)


def test_a_hash_has_a_bit_for_every_coefficient_above_the_median() -> None:
    pictures = family(50)
    small = pictures.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4))
    low = dctn(small, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    expected = [int("".join("01"[int(bit)] for bit in row), 2) for row in bits]
    assert [int(value) for value in perceptual_hashes(pictures)] == expected
