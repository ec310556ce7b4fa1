from mri_model.quality.leakage import ImageShare
from mri_model.quality.split_sizes import ProtocolSizes
from mri_model.quality.text import quality_table
from tests.quality.samples import noise, pairs, quality_report, sound, table, texts


def test_near_duplicates_groups_and_same_bytes_are_counted_per_protocol() -> None:
    splits = ["train", "train", "val", "test", "test", "test", "test"]
    grouped = ["train", "train", "val", "test", "test", "test", None]
    frame = table(["A"] * 7, splits, split_grouped=grouped, group=[0, 1, 2, 0, 1, 3, 4])
    frame["sha256"] = ["a", "b", "c", "d", "e", "f", "b"]
    report = quality_report(frame, noise(7), pairs((0, 3, 0.97), (2, 5, 0.96), (3, 4, 0.99)))
    random, apart = report.leakage.protocols["random"], report.leakage.protocols["grouped"]
    # 3 is a near duplicate of 0; 6 has the bytes of 1
    assert random.near_duplicate_in_train == ImageShare(2, 0.5)
    assert random.group_in_train == ImageShare(2, 0.5)
    assert random.cross_pairs == 2 and report.leakage.complete
    # 4 belongs to a group in training, 5 is the only test image with neither
    assert {name: part.n for name, part in random.parts.items()} == {"near_duplicate": 2, "same_source": 1, "free": 1}
    neighbors = report.nearest_neighbor.protocols["random"]
    assert neighbors and neighbors.pixels.free and neighbors.pixels.free.n == 1
    assert {name: part.n for name, part in apart.parts.items()} == {"near_duplicate": 1, "same_source": 1, "free": 1}
    assert apart.near_duplicate_in_train == ImageShare(1, 0.333333)
    assert report.split_sizes.protocols["grouped"] == ProtocolSizes(train=2, val=1, test=3, few_tested=1)


def test_a_leak_comes_first_whatever_else_is_wrong() -> None:
    frame, thumbnails = sound()
    frame["conflict"] = frame.index < 2
    report = quality_report(frame, thumbnails, pairs((0, 1, 0.9999), (0, 4, 0.97)))
    random, grouped, other = report.issues[:3]
    assert random.claim.startswith("2 % of the test images of the random split (1 of 40) have a near duplicate")
    assert random.level == "notice"
    assert grouped.claim.startswith("2 % of the test images of the grouped split")
    assert other.level == "serious"


def test_test_images_of_a_trained_group_are_a_leak_even_without_near_duplicates() -> None:
    frame, thumbnails = sound()
    frame.loc[[0, 4, 10], "group"] = 0  # one training image, two test images
    report = quality_report(frame, thumbnails, pairs())
    claim = "5 % of the test images of the random split (2 of 40) belong to a group that is also trained on."
    assert report.issues[0].claim == claim
    assert report.issues[0].level == "serious"
    both = quality_report(frame, thumbnails, pairs((0, 4, 0.97)))
    assert both.issues[0].claim.startswith("2 % of the test images of the random split (1 of 40) have a near duplicate")
    assert "Counting all images whose group is in training, it is 5 %." in both.issues[0].meaning


def test_a_near_duplicate_of_another_class_is_not_free_of_leaks() -> None:
    frame, thumbnails = sound()
    report = quality_report(frame, thumbnails, pairs((0, 5, 0.97)))
    assert frame.loc[[0, 5], "label"].tolist() == ["A", "B"]
    assert report.leakage.protocols["grouped"].parts["free"] == ImageShare(39, 0.975)
    assert report.issues[0].claim.startswith("2 % of the test images of the random split (1 of 40)")


def test_numbers_from_an_incomplete_list_are_lower_bounds() -> None:
    frame, thumbnails = sound()
    report = quality_report(frame, thumbnails, pairs((0, 4, 0.97), complete=False))
    assert report.issues[0].claim.startswith("At least 2 %")
    assert "lower bound" in texts(report, "notice")
    assert quality_table(report).loc[1, "random"] == "≥ 2 %"
