"""Which images are certainly of one person, by the columns that only DICOM and NIfTI fill."""

import pandas as pd


def optional_column(rows: pd.DataFrame, name: str) -> pd.Series:
    """A column that exists only where DICOM or NIfTI was read; all null if ``rows`` lacks it. Of type object."""
    if name not in rows:
        return pd.Series([None] * len(rows), rows.index, dtype=object)
    return rows[name].astype(object).where(rows[name].notna(), None)


def certain_patients(rows: pd.DataFrame) -> pd.Series:
    """The patient of each image that comes from a DICOM or NIfTI series; null for all others.

    Such a value is the same person under any tumor type. The folder of a patient (``Glioma/patient 3``) is not: numbers
    often start again in each folder.

    Args:
        rows: Rows of an inventory or a manifest, with or without ``series``.
    """
    return optional_column(rows, "patient").where(optional_column(rows, "series").notna(), None)
