"""Which images are certainly of one person."""

import pandas as pd

from mri_model.data.patients import certain_patients, optional_column


def test_only_a_series_makes_a_patient_certain() -> None:
    rows = pd.DataFrame({"patient": ["p1", "p2", None, None], "series": ["s1", None, "s3", None]})
    assert certain_patients(rows).tolist() == ["p1", None, None, None]


def test_a_frame_without_series_has_no_certain_patient() -> None:
    rows = pd.DataFrame({"patient": ["p1", "p2"]}, index=[5, 3])
    found = certain_patients(rows)
    assert found.isna().all() and found.index.tolist() == [5, 3]


def test_a_column_that_is_absent_reads_as_null_and_nulls_of_any_kind_as_none() -> None:
    rows = pd.DataFrame({"contrast_hint": pd.array(["T1", pd.NA], "string")})
    assert optional_column(rows, "contrast_hint").tolist() == ["T1", None]
    assert optional_column(rows, "burned_in").tolist() == [None, None]
