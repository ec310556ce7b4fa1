from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from mri_model.quality import nearest_neighbor
from mri_model.quality.nearest_neighbor import choose_tested, nearest
from mri_model.quality.report import quality_report as report_of
from mri_model.quality.text import quality_markdown
from tests.quality.samples import data_set, noise, pairs, quality_report, sound, table, texts


@pytest.mark.parametrize("block", [7, 1024])
def test_the_nearest_neighbor_is_scikit_learns(block: int) -> None:
    thumbnails, classes = noise(150), np.arange(150) % 5
    known, tested = np.arange(100), np.arange(100, 150)
    flat = thumbnails.reshape(150, -1).astype(float)
    peer = KNeighborsClassifier(1, algorithm="brute").fit(flat[known], classes[known])
    found = nearest(thumbnails, tested, known, block)
    assert found.tolist() == peer.kneighbors(flat[tested], return_distance=False)[:, 0].tolist()
    assert classes[found].tolist() == peer.predict(flat[tested]).tolist()
    frame = table([f"class {n}" for n in classes], ["train"] * 100 + ["test"] * 50)
    result = quality_report(frame, thumbnails, pairs()).nearest_neighbor.protocols["random"]
    assert result
    assert result.pixels.score.accuracy == round(float((classes[found] == classes[tested]).mean()), 6)
    assert result.pixels.score.macro_f1 == round(f1_score(classes[tested], classes[found], average="macro"), 6)


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_of_equally_near_images_the_first_counts(block: int) -> None:
    thumbnails = np.concatenate([noise(1), noise(1, seed=1), noise(1, seed=1), noise(1, seed=1)])
    assert nearest(thumbnails, np.array([3]), np.array([0, 1, 2]), block).tolist() == [1]


def test_the_distance_is_exact_at_the_extremes() -> None:
    white, black, almost = np.full((64, 64), 255, np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    almost[0, 0] = 1
    thumbnails = np.stack([white, almost, black, black, white])
    assert nearest(thumbnails, np.array([3, 4]), np.array([0, 1, 2])).tolist() == [2, 0]


def test_of_many_test_images_the_paths_choose_which_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbor, "MAX_TESTED", 10)
    frame, thumbnails = sound()
    report = quality_report(frame, thumbnails, pairs())
    result = report.nearest_neighbor.protocols["random"]
    assert result and result.pixels.score.n == 10
    assert "measured on 10 of them" in quality_markdown(report)
    paths, test = frame["path"], np.flatnonzero(frame["split_random"] == "test")
    backwards = paths[::-1].reset_index(drop=True)
    again = choose_tested(backwards, np.sort(len(paths) - 1 - test))
    assert set(paths[choose_tested(paths, test)]) == set(backwards[again])


def test_resemblance_of_raw_pixels_is_an_issue() -> None:
    frame, thumbnails = sound()
    thumbnails //= 2
    thumbnails[1::2] += 128
    report = quality_report(frame, thumbnails, pairs())
    assert "already classifies 100 % of 40 test images of the random split" in texts(report, "notice")
    leaking = quality_report(frame, thumbnails, pairs(*((row, row + 4, 0.97) for row in range(0, 60, 6))))
    assert "already classifies 100 %" in texts(leaking, "serious")
    assert "nor their source in training 100 % of 30; on the grouped split 100 % of 40; always" in texts(
        leaking, "serious"
    )


def test_a_grouped_split_is_good_only_where_pixels_and_edges_are_near_chance() -> None:
    frame, thumbnails = sound(600)
    report = quality_report(frame, thumbnails, pairs())
    assert "On the grouped split, comparing images is near chance: comparing images by pixels" in texts(report, "good")
    data = data_set(frame, thumbnails, pairs())
    by_edges = replace(data.fingerprints, descriptors=data.fingerprints.descriptors // 2)
    by_edges.descriptors[1::2] += 48  # only the edges give the class away
    told = report_of(replace(data, fingerprints=by_edges))
    assert "near chance" not in texts(told)
    assert "still beats chance by 50 percentage points" in texts(told, "serious")


def test_a_few_test_images_are_not_called_good() -> None:
    report = quality_report(*sound(), pairs())
    assert "too few test images to say whether the grouped split separates sources" in texts(report, "notice")
    assert "near chance" not in texts(report)


def test_each_part_of_the_test_images_has_its_own_score() -> None:
    frame, thumbnails = sound(600)
    copied = np.arange(4, 304, 6)  # half of the test images of class A are copies of training images
    thumbnails[copied] = thumbnails[copied - 4]
    found = quality_report(frame, thumbnails, pairs(*((row - 4, row, 1.0) for row in copied)))
    result = found.nearest_neighbor.protocols["random"]
    assert result
    near, free = result.pixels.parts["near_duplicate"], result.pixels.free
    assert near and free and (near.n, near.accuracy, free.n) == (50, 1.0, 150)
    assert free.accuracy < 0.65 and result.pixels.parts["same_source"] is None
    edges = result.edges.parts["near_duplicate"]
    assert edges and edges.accuracy < 0.8
