"""Sizes of classes and splits."""

from tests.quality.samples import DEGENERATE, noise, pairs, quality_report, table, texts


def test_small_and_unequal_classes_are_issues() -> None:
    labels = ["A"] * 40 + ["B"] * 2 + ["C"] * 6
    frame = table(labels, (["train", "val", "test"] * 16)[: len(labels)])
    frame.loc[frame["label"] == "C", "group"] = 0
    report = quality_report(frame, noise(len(frame)), pairs())
    assert report.classes.sizes == {"A": 40, "B": 2, "C": 6}
    assert report.classes.groups == {"A": 40, "B": 2, "C": 1}
    assert report.classes.too_small == ["B", "C"]
    assert report.classes.imbalance == 20.0
    assert "2 classes have fewer than 3 images, or fewer than 3 independent" in texts(report, "serious")
    assert "20 times as many images as the smallest (A: 40; B: 2)" in texts(report, "notice")
    few_tested = "Classes with fewer than 10 test images: 2 of 3 (random split), 2 of 3 (grouped split)."
    assert few_tested in texts(report, "notice")


def test_a_class_of_few_groups_but_enough_images_is_not_serious() -> None:
    frame = table(["A"] * 30 + ["B"] * 30, ["train", "val", "test"] * 20)
    frame.loc[frame["label"] == "B", "group"] = 30
    report = quality_report(frame, noise(60), pairs())
    assert "1 class has fewer than 3 images, or fewer than 3 independent groups of images: B." in texts(
        report, "notice"
    )
    assert "fewer than 3" not in texts(report, "serious")


def test_issues_name_what_is_degenerate() -> None:
    assert "There is only one class." in texts(quality_report(*DEGENERATE["one class"]), "serious")
    missing = texts(quality_report(*DEGENERATE["no validation, no test"]), "serious")
    assert "The random split has no validation and no test images." in missing


def test_a_class_of_few_groups_is_an_issue() -> None:
    frame = table(["A"] * 30 + ["B"] * 30, ["train", "val", "test"] * 20)
    frame.loc[frame["label"] == "B", "group"] = [30 + row % 5 for row in range(30)]
    report = quality_report(frame, noise(60), pairs())
    assert report.classes.few_groups == {"B": 5}
    assert "1 class has only 3 to 5 independent groups of images (B (5))." in texts(report, "notice")
