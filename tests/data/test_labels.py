import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.labels import CONTRASTS, Label, bare_contrast, comparable, is_hidden, parse_label


def test_tumor_and_contrast_are_read_from_the_folder_name() -> None:
    assert parse_label("Meningioma T1C+") == Label("Meningioma T1C+", "Meningioma", "T1C+")


def test_a_leading_underscore_is_dropped_from_the_tumor_but_kept_in_the_class_name() -> None:
    assert parse_label("_NORMAL T1") == Label("_NORMAL T1", "NORMAL", "T1")


def test_a_name_without_a_contrast_is_all_tumor() -> None:
    assert parse_label("glioma") == Label("glioma", "glioma", None)
    assert parse_label("T1") == Label("T1", "T1", None)


@pytest.mark.parametrize(
    "name", ["Glioma_T1c+", "Glioma T1C+ ", "Glioma  t1c+", "Glioma\u00a0T1C+", "Glioma-T1C+", "Glioma T1C＋"]
)
def test_the_contrast_is_found_however_it_is_spelled(name: str) -> None:
    assert parse_label(name) == Label(name, "Glioma", "T1C+")


@pytest.mark.parametrize("name", ["Glioma T3", "GliomaT1", "Glioma T1 axial", "T1 T", "_ T1x"])
def test_what_is_no_contrast_stays_in_the_tumor(name: str) -> None:
    assert parse_label(name).contrast is None


def test_a_contrast_alone_is_a_bare_contrast() -> None:
    assert [bare_contrast(name) for name in ("T1", "t1c+", " T2 ", "_T1", "T3", "Glioma T1", "")] == [
        "T1",
        "T1C+",
        "T2",
        "T1",
        None,
        None,
        None,
    ]


@given(st.text(max_size=12))
def test_comparing_changes_nothing_that_was_compared_already(name: str) -> None:
    assert comparable(comparable(name)) == comparable(name)


@given(st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text))
def test_what_is_below_a_hidden_folder_is_hidden(name: str) -> None:
    assert is_hidden(f"#recycle/{name}")
    assert is_hidden(f"a/.b/{name}")


@given(st.text(min_size=1).filter(lambda text: "/" not in text))
def test_any_folder_name_keeps_its_spelling(name: str) -> None:
    label = parse_label(name)
    assert label.name == name
    assert label.contrast is None or label.contrast in CONTRASTS
    assert label.tumor
