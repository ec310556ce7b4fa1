"""Augmented files are linked to their originals by name, if the pictures agree."""

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.augmented_names import COMPANIONS, WORDS, cores, families, name_tokens
from mri_model.data.comparison import compare_images
from tests.data.test_same_source import SIZE, fingerprints


def frame(paths: list[str]) -> pd.DataFrame:
    tumors = [path.partition("/")[0] for path in paths]
    digests = [str(number) for number in range(len(paths))]
    columns = {"path": paths, "label": tumors, "tumor": tumors, "patient": None, "status": "ok", "sha256": digests}
    return pd.DataFrame(columns)


def groups(paths: list[str], images: list[np.ndarray]) -> list[int]:
    return compare_images(frame(paths), fingerprints(images)).frame["group"].tolist()


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("aug_1 no._0_1187.jpg", "1 no.jpeg"),
        ("Y12_rot90.png", "Y12.jpg"),
        ("rotated_15_deg_Y12.png", "Y12.jpg"),
        ("y12-flip-h.png", "Y12.jpg"),
        ("Y12 (copy 2).png", "Y12.jpg"),
        ("scan_7_0_4711.jpeg", "scan_7.png"),
        ("aug_Ｍｅ１.png", "me1.png"),
    ],
)
def test_a_copys_name_gives_that_of_its_original(copy: str, original: str) -> None:
    assert name_tokens(original) in cores(name_tokens(copy))


@pytest.mark.parametrize(
    "name", ["008_big_gallery.jpeg", "image(12).jpg", "12.png", "", "aug.png", "_.png", "P1 03a.jpg"]
)
def test_ordinary_names_are_no_copies(name: str) -> None:
    assert not cores(name_tokens(name))


affixes = st.lists(st.sampled_from(sorted(WORDS | COMPANIONS)) | st.integers(0, 9999).map(str), max_size=3)


@given(st.from_regex(r"[a-z0-9 ]{1,12}", fullmatch=True), affixes, affixes, st.sampled_from(" _-."))
def test_every_name_with_an_augmentation_word_gives_its_original(
    stem: str, prefix: list[str], suffix: list[str], separator: str
) -> None:
    original = name_tokens(f"A/{stem}.png")
    copy = name_tokens("A/" + separator.join([*prefix, "aug", stem, *suffix]) + ".jpg")
    assert not original or original in cores(copy)


@given(st.text())
def test_any_name_is_parsed_and_is_not_its_own_original(name: str) -> None:
    tokens = name_tokens(name)
    for core in cores(tokens):
        assert 0 < len(core) < len(tokens)
        assert any(tokens[start : start + len(core)] == core for start in range(len(tokens)))


def test_the_original_is_sought_in_the_folder_of_the_copy_first() -> None:
    paths = ["A/p1/image(1).png", "A/p2/image(1).png", "A/p2/aug_image(1).png", "A/p3/aug_image(1).png", "B/x.png"]
    assert families(frame([*paths, "A/more/x_flip.png"])) == [[1, 2]]
    assert families(frame([*paths, "B/more/x_flip.png"])) == [[1, 2], [4, 5]]


def head(seed: int) -> np.ndarray:
    """A drawn head, uint8 of shape (128, 128): bright and dark blobs in an ellipse on black."""
    random = np.random.default_rng(seed)
    blobs = cv2.resize(random.integers(0, 256, (6, 6), np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    axes = tuple(int(axis) for axis in random.integers(35, 55, 2))
    ellipse = cv2.ellipse(np.zeros((SIZE, SIZE), np.uint8), (SIZE // 2, SIZE // 2), axes, 0, 0, 360, 1, -1)
    return blobs * ellipse


def augmented(image: np.ndarray, degrees: float, shift: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), degrees, 1)
    matrix[:, 2] += shift * SIZE
    return cv2.warpAffine(image, matrix, (SIZE, SIZE))


CHANGES = [(8, 0.0), (-8, 0.0), (0, 0.08), (3, -0.06)]


def test_augmented_copies_are_in_the_group_of_their_original() -> None:
    originals = [head(seed) for seed in range(10)]
    copies = [augmented(image, *change)[:, ::-1] for image in originals for change in CHANGES]
    names = [f"A/{number}.png" for number in range(10)]
    named = [f"A/augmented/aug_{number}_0_{k}.png" for number in range(10) for k in range(len(CHANGES))]
    unnamed = [f"A/augmented/z{k}.png" for k in range(len(named))]
    images = [np.ascontiguousarray(image) for image in [*originals, *copies]]
    expected = [*range(10), *(number for number in range(10) for _ in CHANGES)]
    assert groups([*names, *named], images) == expected
    assert groups([*names, *unnamed], images) != expected


def test_other_pictures_are_not_linked_by_their_names() -> None:
    images = [head(seed) for seed in range(20)]
    paths = [f"A/{number}.png" for number in range(10)] + [f"A/aug_{number}.png" for number in range(10)]
    assert groups(paths, images) == list(range(20))
