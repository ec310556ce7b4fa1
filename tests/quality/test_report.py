import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from mri_model.data.near_duplicates import NearDuplicates
from mri_model.quality import issues
from mri_model.quality import report as module
from mri_model.quality.issues import describe_quality, quality_markdown, quality_table
from mri_model.quality.report import nearest, quality_report, reason_kind


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 64, 64), dtype=np.uint8)


def table(labels: list[str], splits: list[str | None], **columns: Any) -> pd.DataFrame:
    """A manifest's frame in which every image is its own group and both splits are ``splits``."""
    n = len(labels)
    frame = pd.DataFrame({"label": labels, "split_random": splits, "split_grouped": splits})
    frame["path"] = [f"{label}/{row}.jpg" for row, label in enumerate(labels)]
    frame["sha256"] = [f"{row:04x}" for row in range(n)]
    frame["group"] = pd.array(range(n), dtype="Int64")
    same = {"n_bytes": 1000, "extension": ".jpg", "format": "JPEG", "height": 64, "width": 64, "stored_channels": 1}
    frame = frame.assign(
        **same, tumor="A", contrast=None, status="ok", reason=None, n_near_duplicates=0, conflict=False
    )
    return frame.assign(**columns)


def pairs(*found: tuple[int, int, float], complete: bool = True) -> NearDuplicates:
    first, second, correlation = zip(*found, strict=True) if found else ((), (), ())
    return NearDuplicates(
        np.array(first, np.int32), np.array(second, np.int32), np.array(correlation, np.float32), complete
    )


def reject(frame: pd.DataFrame, rows: list[int], reason: str) -> pd.DataFrame:
    """As ingestion leaves rejected files: without anything that comes after image."""
    frame = frame.astype(dict.fromkeys(["n_near_duplicates", "height", "width", "stored_channels"], "Int64"))
    frame = frame.astype({"conflict": "boolean"})
    empty = ["label", "format", "height", "width", "stored_channels", "group", "n_near_duplicates", "conflict"]
    frame.loc[rows, [*empty, "split_random", "split_grouped"]] = None
    frame.loc[rows, "status"] = "rejected"
    frame["reason"] = frame["reason"].astype(object)
    frame.loc[rows, "reason"] = reason
    return frame


def sound(n: int = 120) -> tuple[pd.DataFrame, np.ndarray]:
    """Two balanced classes of noise: nothing to find but that patients are unknown."""
    labels = ["A", "B"] * (n // 2)
    splits = ["train", "train", "val", "val", "test", "test"] * (n // 6)
    return table(labels, splits), noise(n)


def claims(report: dict[str, Any], level: str | None = None) -> str:
    return "\n".join(found["issue"] for found in report["issues"] if level in (None, found["level"]))


@pytest.mark.parametrize("block", [7, 1024])
def test_the_nearest_neighbour_is_scikit_learns(block: int) -> None:
    thumbnails, classes = noise(150), np.arange(150) % 5
    known, tested = np.arange(100), np.arange(100, 150)
    flat = thumbnails.reshape(150, -1).astype(float)
    peer = KNeighborsClassifier(1, algorithm="brute").fit(flat[known], classes[known])
    found = nearest(thumbnails, tested, known, block)
    assert found.tolist() == peer.kneighbors(flat[tested], return_distance=False)[:, 0].tolist()
    assert classes[found].tolist() == peer.predict(flat[tested]).tolist()
    frame = table([f"class {n}" for n in classes], ["train"] * 100 + ["test"] * 50)
    pixels = quality_report(frame, thumbnails, pairs())["protocols"]["random"]["pixels"]
    assert pixels["accuracy"] == round(float((classes[found] == classes[tested]).mean()), 6)
    assert pixels["macro_f1"] == round(f1_score(classes[tested], classes[found], average="macro"), 6)


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_of_equally_near_images_the_first_counts(block: int) -> None:
    thumbnails = np.concatenate([noise(1), noise(1, seed=1), noise(1, seed=1), noise(1, seed=1)])
    assert nearest(thumbnails, np.array([3]), np.array([0, 1, 2]), block).tolist() == [1]


def test_the_distance_is_exact_at_the_extremes() -> None:
    white, black, almost = np.full((64, 64), 255, np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    almost[0, 0] = 1
    thumbnails = np.stack([white, almost, black, black, white])
    assert nearest(thumbnails, np.array([3, 4]), np.array([0, 1, 2])).tolist() == [2, 0]


def test_twins_groups_and_same_bytes_are_counted_per_protocol() -> None:
    splits = ["train", "train", "val", "test", "test", "test", "test"]
    grouped = ["train", "train", "val", "test", "test", "test", None]
    frame = table(["A"] * 7, splits, split_grouped=grouped, group=[0, 1, 2, 0, 1, 3, 4])
    frame["sha256"] = ["a", "b", "c", "d", "e", "f", "b"]
    report = quality_report(frame, noise(7), pairs((0, 3, 0.97), (2, 5, 0.96), (3, 4, 0.99)))
    random, apart = report["protocols"]["random"], report["protocols"]["grouped"]
    assert random["near_duplicate_in_train"] == {"n": 2, "share": 0.5}  # 3 is a duplicate of 0; 6 has the bytes of 1
    assert random["group_in_train"] == {"n": 2, "share": 0.5}
    assert random["cross_pairs"] == {"n": 2, "complete": True}
    assert random["pixels_without_near_duplicate"]["n"] == 2
    assert apart["near_duplicate_in_train"] == {"n": 1, "share": 0.333333}
    assert apart["sizes"] == {"train": 2, "val": 1, "test": 3}


def test_copies_are_counted_once_by_the_closest_kind() -> None:
    frame = table(["A"] * 6, ["train"] * 6, sha256=list("aabcde"), n_near_duplicates=[3, 3, 3, 3, 1, 1])
    thumbnails = np.concatenate([np.repeat(noise(1), 3, axis=0), noise(3, seed=1)])
    found = pairs((0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (0, 3, 0.96), (4, 5, 0.95))
    without = quality_report(frame, thumbnails, found)["copies"]
    assert (without["same_bytes_pairs"], without["same_pixels_pairs"], without["near_duplicate_pairs"]) == (1, None, 4)
    frame["pixel_crc32"] = ["0f", "0f", "0f", "0f", None, None]  # 3 has another thumbnail: a collision
    known = quality_report(frame, thumbnails, found)["copies"]
    assert (known["same_bytes_pairs"], known["same_pixels_pairs"], known["near_duplicate_pairs"]) == (1, 2, 2)


def test_conflicts_list_every_set_with_its_paths_and_labels() -> None:
    frame = table(["A", "B", "A", "C", "A", "B"], ["train"] * 6, sha256=list("aabcde"))
    frame["conflict"] = [True, True, True, True, False, False]
    thumbnails = noise(6)
    report = quality_report(frame, thumbnails, pairs((2, 3, 0.9995), (4, 5, 0.97)))
    assert report["conflicts"]["sets"] == [
        [{"path": "A/0.jpg", "label": "A"}, {"path": "B/1.jpg", "label": "B"}],
        [{"path": "A/2.jpg", "label": "A"}, {"path": "C/3.jpg", "label": "C"}],
    ]
    assert "2 pictures stand in two classes at once (4 files)." in claims(report, "serious")


def test_the_report_is_the_same_to_the_byte_with_any_number_of_threads() -> None:
    frame, thumbnails = sound()
    reports = set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            reports.add(json.dumps(quality_report(frame, thumbnails, pairs((0, 4, 0.97))), sort_keys=True))
    assert len(reports) == 1


def test_of_many_test_images_the_paths_choose_which_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TESTED", 10)
    monkeypatch.setattr(issues, "MAX_TESTED", 10)
    frame, thumbnails = sound()
    report = quality_report(frame, thumbnails, pairs())
    assert report["protocols"]["random"]["pixels"]["n"] == 10
    assert "measured on 10 of them" in quality_markdown(report)
    paths, test = frame["path"], np.flatnonzero(frame["split_random"] == "test")
    backwards = paths[::-1].reset_index(drop=True)
    again = module.choose_tested(backwards, np.sort(len(paths) - 1 - test))
    assert set(paths[module.choose_tested(paths, test)]) == set(backwards[again])


def test_a_sound_set_gets_no_serious_finding_and_is_told_what_is_good() -> None:
    report = quality_report(*sound(), pairs())
    assert not claims(report, "serious")
    assert claims(report, "notice").splitlines()[0].startswith("Nothing says which pictures")
    assert "No test picture of the random split has a near copy" in claims(report, "good")
    assert "120 files found, all readable and accepted." in claims(report, "good")


def test_a_leak_comes_first_whatever_else_is_wrong() -> None:
    frame, thumbnails = sound()
    frame["conflict"] = frame.index < 2
    report = quality_report(frame, thumbnails, pairs((0, 1, 0.9999), (0, 4, 0.97)))
    first = report["issues"][0]
    assert first["claim"].startswith("2 % of the test pictures of the random split (1 of 40) have a near copy")
    assert first["level"] == "notice"
    assert report["issues"][1]["level"] == "notice"  # the grouped split, which leaks here as well
    assert report["issues"][2]["level"] == "serious"
    assert "No test picture" not in claims(report)


def test_numbers_from_an_incomplete_list_are_lower_bounds() -> None:
    frame, thumbnails = sound()
    report = quality_report(frame, thumbnails, pairs((0, 4, 0.97), complete=False))
    assert report["issues"][0]["claim"].startswith("At least 2 %")
    assert "lower bound" in claims(report, "notice")
    assert quality_table(report).loc[1, "random"] == "≥ 2 %"
    assert "No test picture" not in claims(quality_report(frame, thumbnails, pairs(complete=False)))


def test_resemblance_of_raw_pixels_is_a_finding() -> None:
    frame, thumbnails = sound()
    thumbnails //= 2
    thumbnails[1::2] += 128
    report = quality_report(frame, thumbnails, pairs())
    assert "already classifies 100 % of the test pictures of the random split" in claims(report, "notice")
    leaking = quality_report(frame, thumbnails, pairs(*((row, row + 4, 0.97) for row in range(0, 60, 6))))
    assert "already classifies 100 %" in claims(leaking, "serious")


def test_size_and_format_that_give_the_class_away_are_a_finding() -> None:
    frame, thumbnails = sound()
    frame["width"] = np.where(frame["label"] == "A", 64, 65)
    report = quality_report(frame, thumbnails, pairs())
    assert report["protocols"]["grouped"]["file_facts"] == {"n": 40, "accuracy": 1.0}
    assert "alone, without a look at the picture, give the right class in 100 % of cases" in claims(report, "serious")
    assert "without a look" not in claims(quality_report(*sound(), pairs()))


def test_small_and_unequal_classes_are_found() -> None:
    labels = ["A"] * 40 + ["B"] * 2 + ["C"] * 6
    frame = table(labels, (["train", "val", "test"] * 16)[: len(labels)])
    frame.loc[frame["label"] == "C", "group"] = 0
    report = quality_report(frame, noise(len(frame)), pairs())
    assert report["classes"]["few_images"] == ["B"]
    assert report["classes"]["few_groups"] == ["B", "C"]
    assert report["classes"]["imbalance"] == 20.0
    assert "2 classes have fewer than 3 pictures" in claims(report, "serious")
    assert "20 times as many pictures as the smallest (A: 40; B: 2)" in claims(report, "notice")


def test_rejected_files_are_counted_by_kind_of_reason() -> None:
    frame, thumbnails = sound()
    frame = reject(frame, [0, 1], "unknown extension .txt")
    frame = reject(frame, [2], "folder 'x\ny' is no class of profile phantom")
    report = quality_report(frame, thumbnails, pairs())
    assert report["files"]["rejected_by_reason"] == {"unknown extension": 2, "folder is no class of the profile": 1}
    assert "3 files were rejected, of 120 found: unknown extension (2); folder is no" in claims(report, "notice")
    assert reason_kind("truncated: the end of the image is missing") == "truncated"


def test_an_ending_that_does_not_fit_the_content_is_found() -> None:
    frame, thumbnails = sound()
    frame.loc[0, "format"] = "PNG"
    frame.loc[1, "extension"] = ".JPG"
    report = quality_report(frame, thumbnails, pairs())
    assert report["files"]["wrong_extension_by_kind"] == {".jpg holds PNG": 1}
    assert "1 file has an ending that does not fit the content: .jpg holds PNG (1)." in claims(report, "notice")


def all_but_one_rejected() -> tuple[pd.DataFrame, np.ndarray, NearDuplicates]:
    frame = reject(table(["A"] * 4, ["train"] * 4), [1, 2, 3], "empty file")
    return frame, noise(4), pairs()


def all_identical() -> tuple[pd.DataFrame, np.ndarray, NearDuplicates]:
    frame, _ = sound()
    frame = frame.assign(sha256="a", conflict=True, n_near_duplicates=119, pixel_crc32="0f", group=0)
    everything = [(i, j, 1.0) for i in range(120) for j in range(i + 1, 120)]
    return frame, np.zeros((120, 64, 64), np.uint8), pairs(*everything)


DEGENERATE = {
    "one class": (table(["A"] * 6, ["train", "train", "train", "val", "test", "test"]), noise(6), pairs()),
    "classes of one image": (table(list("ABCDEF"), ["train"] * 6), noise(6), pairs()),
    "no validation, no test": (table(["A", "B"], ["train", "train"]), noise(2), pairs()),
    "no training": (table(["A", "B"], ["test", "val"]), noise(2), pairs()),
    "a test class that is not trained on": (table(["A", "B"], ["train", "test"]), noise(2), pairs()),
    "no split at all": (table(["A", "B"], [None, None]), noise(2), pairs()),
    "all but one rejected": all_but_one_rejected(),
    "all identical": all_identical(),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_set_is_reported_in_full(name: str) -> None:
    report = quality_report(*DEGENERATE[name])
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert claims(report, "serious")
    assert len(describe_quality(report).splitlines()) <= 12
    assert quality_table(report).columns.tolist() == ["question", "random", "grouped"]
    assert "nan" not in quality_markdown(report).lower()


def test_findings_name_what_is_degenerate() -> None:
    assert "There is only one class." in claims(quality_report(*DEGENERATE["one class"]))
    assert "no validation and no test pictures" in claims(quality_report(*DEGENERATE["no validation, no test"]))
    assert "1 picture stands in two classes at once (120 files)." in claims(
        quality_report(*DEGENERATE["all identical"])
    )


HOSTILE = "A\n# <script>alert(1)</script> [x](https://e.org) `|*_\x1b[31m\u202e"


def test_hostile_names_neither_break_lines_nor_become_markup() -> None:
    frame, thumbnails = table(["A"] * 20 + [HOSTILE], ["train", "val", "test"] * 7), noise(21)
    report = quality_report(frame, thumbnails, pairs())
    assert HOSTILE in report["classes"]["sizes"]
    told, marked = describe_quality(report), quality_markdown(report)
    for text in (told, marked):
        assert "\x1b" not in text and "\u202e" not in text
        assert "A\\n" in told
        assert not any(line.startswith("# ") for line in text.splitlines())
    assert "<script" not in marked and "https:/" not in marked and "\\[x\\](" in marked
    assert "\\`\\|\\*\\_" in marked


def test_a_share_that_is_not_quite_nothing_does_not_look_like_nothing() -> None:
    assert [issues.percent(value) for value in (0, 0.001, 0.25, 0.999, 1)] == [
        "0 %",
        "<1 %",
        "25 %",
        ">99 %",
        "100 %",
    ]


def test_the_phantom_is_reported_as_ingested(phantom: Path) -> None:
    from mri_model.data.inventory import take_inventory
    from mri_model.data.near_duplicates import find_near_duplicates
    from mri_model.data.splits import add_splits

    inventory = take_inventory(phantom)
    frame, duplicates = find_near_duplicates(inventory.frame, inventory.thumbnails)
    report = quality_report(add_splits(frame, seed=0), inventory.thumbnails, duplicates)
    assert report["files"] | {"found": 176, "accepted": 176, "rejected": 0} == report["files"]
    assert report["classes"]["n"] == 44
    assert report["protocols"]["grouped"]["group_in_train"]["n"] == 0
