"""The contrast that a DICOM header hints at."""

import pytest

from mri_model.data.medical.hint import Acquisition

HINTS = [
    ("Ax T1 SE", "", None, None, "T1"),
    ("AX T1 +C", "", None, None, "T1C+"),
    ("t1_mprage_post", "", None, None, "T1C+"),
    ("T1 GAD", "", None, None, "T1C+"),
    ("T1C", "", None, None, "T1C+"),
    ("T1 AX", "Gadovist", None, None, "T1C+"),
    ("T1 pre contrast", "Gadovist", None, None, "T1"),
    ("T1 W/O contrast", "", None, None, "T1"),
    ("T1 AX", "NONE", None, None, "T1"),
    ("T1 AX", "No contrast", None, None, "T1"),
    ("T1 AX", "None given", None, None, "T1"),
    ("T1 AX", "NOT ADMINISTERED", None, None, "T1"),
    ("T1 AX", "-", None, None, "T1"),
    ("T1 AX", "Novel agent", None, None, "T1C+"),
    ("T1 pre and post gd", "", None, None, None),
    ("Axial T2 FSE", "Gadovist", None, None, "T2"),
    ("T1 T2 dual", "", None, None, None),
    ("DWI b1000", "", None, None, None),
    ("T10 level", "", None, None, None),
    ("", "", 12.0, 500.0, "T1"),
    ("", "Gd-DTPA", 12.0, 500.0, "T1C+"),
    ("", "", 100.0, 4000.0, "T2"),
    ("", "", 20.0, 3000.0, None),
    ("", "", None, 500.0, None),
]


@pytest.mark.parametrize(("words", "agent", "echo", "repetition", "contrast"), HINTS)
def test_words_come_before_times_and_an_agent_before_neither(
    words: str, agent: str, echo: float | None, repetition: float | None, contrast: str | None
) -> None:
    assert Acquisition(words, agent, echo, repetition).contrast() == contrast
