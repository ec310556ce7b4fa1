"""Check: which images belong to the same patient."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.wording import many, most_frequent


@dataclass(frozen=True)
class Patients(Check):
    """What the folders say about patients.

    Attributes:
        n_images: Number of accepted images.
        n_patients: Number of names of patients.
        without: Number of accepted images without a patient.
        shared: Number of tumor types by patient, for the names that occur under more than one.
    """

    n_images: int
    n_patients: int
    without: int
    shared: dict[str, int]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.accepted_rows()
        known = rows[rows["patient"].notna()]
        n_tumors = known.groupby("patient")["tumor"].nunique().sort_index()
        shared = {str(patient): int(n) for patient, n in n_tumors.items() if n > 1}
        return cls(len(rows), len(n_tumors), len(rows) - len(known), shared)

    def issues(self) -> Iterator[Issue]:
        if not self.n_images:
            return
        if not self.n_patients:
            yield unknown_patients()
            return
        yield Issue(
            "good",
            f"The folders name {many(self.n_patients, 'patient')}.",
            "The grouped split keeps the images of a patient with one tumor type in one split.",
            "Use the grouped split.",
        )
        if self.without:
            yield Issue(
                "notice",
                f"{many(self.without, 'image', 'lies', 'lie')} directly in a class folder: of an unknown patient.",
                "Such images may be of a patient who is in another split.",
                "Put them into a folder for each patient.",
            )
        if self.shared:
            yield Issue(
                "notice",
                f"{many(len(self.shared), 'name', 'of a patient occurs', 'of patients occur')} under several tumor "
                f"types (number of types): {most_frequent(self.shared)}.",
                "If they are the same persons, images of one person may be in training and in test.",
                "If the numbers merely start again in each folder, nothing needs to be done.",
            )


def unknown_patients() -> Issue:
    return Issue(
        "notice",
        "The data set does not say which images belong to the same patient.",
        "Different images of one patient, such as neighboring slices, may be in training and in test, under both "
        "splits.",
        "Take every score as an upper bound for new patients. Test on other patients, from another source. "
        "If there is a folder for each patient, say which folder is the class: --class-level.",
    )
