from hypothesis import given
from hypothesis import strategies as st

from mri_model.data.labels import CONTRASTS, Label, parse_label


def test_tumor_and_contrast_are_read_from_the_folder_name() -> None:
    assert parse_label("Meningioma T1C+") == Label("Meningioma T1C+", "Meningioma", "T1C+")


def test_a_leading_underscore_is_dropped_from_the_tumor_but_kept_in_the_class_name() -> None:
    assert parse_label("_NORMAL T1") == Label("_NORMAL T1", "NORMAL", "T1")


def test_a_name_without_a_contrast_is_all_tumor() -> None:
    assert parse_label("glioma") == Label("glioma", "glioma", None)
    assert parse_label("T1") == Label("T1", "T1", None)


@given(st.text(min_size=1).filter(lambda text: "/" not in text))
def test_any_folder_name_keeps_its_spelling(name: str) -> None:
    label = parse_label(name)
    assert label.name == name
    assert label.contrast is None or label.contrast in CONTRASTS
    assert label.tumor
