"""Which folder above a file names its class and its patient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.class_folders import ClassNaming, parse_renamed
from mri_model.data.labels import parse_label
from mri_model.errors import UsageError


def class_of(folder: str, level: int = 0, **renamed: str) -> str | None:
    found = ClassNaming(level, renamed).suggest(folder)
    return found.name if found else None


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("glioma/T1", "glioma T1"),
        ("glioma/t1c+", "glioma T1C+"),
        ("Training/glioma/T2", "glioma T2"),
        ("glioma/train/T2", "glioma T2"),
        ("glioma/T2/train", "glioma T2"),
        ("site/glioma/T1/patient 3", "glioma T1"),
        ("_NORMAL/T1", "_NORMAL T1"),
        ("Glioma T1/T2", "Glioma T1"),
        ("glioma/T1/T2", "glioma T1"),
        ("T1", "T1"),
        ("train/T1", "T1"),
    ],
)
def test_a_contrast_folder_gives_its_contrast_to_the_tumor_folder_above_it(folder: str, name: str) -> None:
    assert class_of(folder) == name


@pytest.mark.parametrize("folder", ["", "train", "data/Test", "VALIDATION", ".cache/glioma", "#recycle/Glioma T1"])
def test_the_root_split_folders_and_system_folders_are_no_class(folder: str) -> None:
    assert class_of(folder) is None


@pytest.mark.parametrize(
    ("level", "folder", "name", "patient"),
    [
        (1, "glioma/patient 1", "glioma", "patient 1"),
        (1, "glioma/patient 1/axial", "glioma", "patient 1"),
        (1, "glioma", "glioma", None),
        (1, "test", "test", None),
        (2, "Training/glioma/patient 1", "glioma", "patient 1"),
        (1, "glioma/train/patient 1", "glioma", "patient 1"),
        (1, "glioma/T1/patient 1", "glioma T1", "patient 1"),
        (1, "glioma/patient 1/T1", "glioma T1", "patient 1"),
        (2, "glioma/T1/patient 1", "glioma T1", "patient 1"),
        (2, "T1/glioma", "glioma T1", None),
        (1, "Glioma T1/T2", "Glioma T1", None),
        (-1, "brain/glioma", "glioma", None),
        (-2, "Training/glioma/patient 1", "glioma", "patient 1"),
        (3, "glioma/patient 1", None, None),
        (-3, "glioma/patient 1", None, None),
        (1, "@Recycle/patient 1", None, None),
    ],
)
def test_the_class_level_says_which_folder_is_the_class_and_which_the_patient(
    level: int, folder: str, name: str | None, patient: str | None
) -> None:
    assert class_of(folder, level) == name
    assert ClassNaming(level).patient(folder) == patient


def test_without_a_class_level_nothing_says_what_a_patient_is() -> None:
    assert ClassNaming().patient("Glioma T1/patient 3") is None


def test_a_renamed_class_is_a_class_wherever_it_is_and_may_gain_or_lose_its_contrast() -> None:
    assert class_of("glioma_tumor", glioma_tumor="glioma") == "glioma"
    assert class_of("series 4/left", **{"series 4": "glioma T2"}) == "glioma T2"
    assert class_of("glioma/T1/train", **{"glioma T1": "glioma"}) == "glioma"
    assert class_of("test", test="test") == "test"
    assert class_of("a", a="b", b="c") == "b"


folders = st.lists(
    st.sampled_from(["glioma", "Glioma T1", "T1", "t2", "train", "p 1", "Test"]) | st.text("aé_ .", min_size=1),
    max_size=5,
).map("/".join)


@given(folder=folders, level=st.integers(-6, 6))
def test_a_suggested_class_is_among_the_candidates_and_its_depth_is_a_folder(folder: str, level: int) -> None:
    naming = ClassNaming(level)
    found = naming.suggest(folder)
    if found:
        assert found in naming.candidates(folder)
        assert 1 <= found.depth <= len(folder.split("/"))
        assert found.is_certain or parse_label(found.name).contrast is None


def test_renamings_are_read_from_texts() -> None:
    assert parse_renamed(["a=b", "c=d=e", "a=b"]) == {"a": "b", "c": "d=e"}


@pytest.mark.parametrize("texts", [["a"], ["=b"], ["a="], ["a= "], [""], ["a=b", "a=c"]])
def test_a_text_that_is_no_renaming_is_wrong_usage(texts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_renamed(texts)
    assert caught.value.hint
