"""Folders whose classes only a person can tell are refused, with what to do."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.ambiguity import check_places, check_renamed, check_spelling
from mri_model.data.class_folders import ClassNaming
from mri_model.data.labels import parse_label
from mri_model.errors import RefusedError, UsageError


def refused(*names: str) -> RefusedError:
    with pytest.raises(RefusedError, match="one class name is spelled in two ways") as caught:
        check_spelling({name: len(names) - index for index, name in enumerate(names)})
    return caught.value


@pytest.mark.parametrize(
    "other",
    ["glioma T1", "Glioma T1 ", "Glioma  T1", "Glioma\u00a0T1", "Glioma_T1", "Glioma-T1", "_Glioma T1", "Glioma t1"],
)
def test_two_spellings_of_one_class_are_refused_and_shown_escaped(other: str) -> None:
    error = refused("Glioma T1", other, "Cyst T1")
    assert error.exit_code == 3
    assert ascii(other) in str(error)
    assert "'Glioma T1'" in str(error)
    assert "Cyst" not in str(error)
    assert "rename the folders" in error.hint


def test_composed_and_decomposed_letters_look_different_in_the_message() -> None:
    name = "Méningiome"
    error = refused(unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    assert r"'Me\u0301ningiome' and 'M\xe9ningiome'" in str(error)
    assert "--map" not in error.hint


def test_two_spellings_of_a_tumor_are_refused_although_its_contrasts_differ() -> None:
    error = refused("Glioma T1", "glioma T2")
    assert "--map 'glioma T2=Glioma T2'" in error.hint
    refused("Glioma T1", "glioma")


def test_the_rarer_spelling_is_the_one_to_rename() -> None:
    assert "--map glioma=Glioma" in refused("Glioma", "glioma").hint
    assert "--map Glioma=glioma" in refused("glioma", "Glioma").hint


def test_names_that_differ_are_no_spellings_of_each_other() -> None:
    check_spelling(dict.fromkeys(["_NORMAL T1", "NORMAL T2", "Glioma T1", "Glioma T1C+", "Glioma", "glioma 2"], 3))


@given(st.text(min_size=1, max_size=8))
def test_any_name_is_refused_beside_its_upper_case(name: str) -> None:
    if parse_label(name).tumor != parse_label(name.swapcase()).tumor:
        assert len(str(refused(name, name.swapcase())).splitlines()) == 1


@pytest.mark.parametrize(
    "folders",
    [
        ["glioma/p1", "glioma/p2", "cyst/p1"],
        ["glioma", "glioma/p1", "cyst"],
        ["glioma/p1/T1", "cyst/p2/T1"],
        ["T1/glioma", "T2/glioma"],
        ["north/glioma", "south/glioma"],
        ["glioma", "brain/glioma"],
    ],
)
def test_class_folders_in_different_folders_are_refused_until_a_level_is_given(folders: list[str]) -> None:
    with pytest.raises(RefusedError, match="not side by side") as caught:
        check_places(folders, ClassNaming())
    assert "--class-level 1 (" in caught.value.hint
    assert "--class-level -1 (" in caught.value.hint
    check_places(folders, ClassNaming(level=1))


@pytest.mark.parametrize(
    "folders",
    [
        ["glioma", "cyst"],
        ["brain/glioma", "brain/cyst"],
        ["Training/glioma", "Testing/glioma", "cyst", "brain/Glioma T2"],
        ["glioma/T1", "glioma/T2", "train/cyst/T1"],
        ["Glioma T1/p1", "Glioma T1/p2", "train/Glioma T2", ""],
        [],
    ],
)
def test_class_folders_side_by_side_are_accepted(folders: list[str]) -> None:
    check_places(folders, ClassNaming())


def test_renaming_a_class_that_is_not_there_is_wrong_usage() -> None:
    check_renamed(["train/glioma"], ClassNaming(renamed={"glioma": "Glioma"}))
    with pytest.raises(UsageError, match="no class 'gliom' to rename") as caught:
        check_renamed(["train/glioma"], ClassNaming(renamed={"gliom": "Glioma"}))
    assert "glioma" in caught.value.hint
