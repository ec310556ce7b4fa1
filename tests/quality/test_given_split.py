from mri_model.quality.given_split import GivenSplit
from tests.quality.samples import noise, pairs, quality_report, table, texts


def test_classes_that_are_tested_without_training_images_are_serious() -> None:
    frame = table(["A"] * 20 + ["B"] * 20, ["train", "val", "test", "train"] * 10)
    frame["split_given"] = ["train"] * 10 + ["test"] * 30
    report = quality_report(frame, noise(40), pairs())
    assert report.given_split == GivenSplit(report.given_split.leakage, 0, ("B",))
    assert "1 class is tested there without a training image: B. A network" in texts(report, "serious")


def test_a_given_split_with_training_images_of_every_class_is_not_called_incomplete() -> None:
    frame = table(["A"] * 20 + ["B"] * 20, ["train", "val", "test", "train"] * 10)
    frame["split_given"] = ["train", "test"] * 20
    report = quality_report(frame, noise(40), pairs())
    assert report.given_split.untrained == ()
    assert "without a training image" not in texts(report, "serious")
