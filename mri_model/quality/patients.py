"""Check: which images belong to the same patient."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pandas as pd

from mri_model.data.patients import certain_patients
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.wording import many, most_frequent


@dataclass(frozen=True)
class Patients(Check):
    """What files and folders say about patients.

    Attributes:
        n_images: Number of accepted images.
        n_patients: Number of patients and names of patients.
        without: Number of accepted images without a patient.
        shared: Number of tumor types by patient, for the names of folders that occur under more than one.
        n_certain: Number of accepted images whose patient is certain (see ``data.patients``).
        tumors: Number of tumor types by patient, for certain patients with more than one.
        divided: Number of certain patients in more than one grouped split.
    """

    n_images: int
    n_patients: int
    without: int
    shared: dict[str, int]
    n_certain: int
    tumors: dict[str, int]
    divided: int

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.accepted_rows()
        certain = certain_patients(rows)
        names = rows["patient"].where(certain.isna())
        return cls(
            n_images=len(rows),
            n_patients=int(rows["patient"].nunique()),
            without=int(rows["patient"].isna().sum()),
            shared=more_than_one(rows["tumor"], names),
            n_certain=int(certain.notna().sum()),
            tumors=more_than_one(rows["tumor"], certain),
            divided=len(more_than_one(rows["split_grouped"], certain)),
        )

    @property
    def is_patient_level(self) -> bool:
        """Whether every image has a certain patient, none of whom is in two grouped splits."""
        return 0 < self.n_certain == self.n_images and not self.divided

    def issues(self) -> Iterator[Issue]:
        if not self.n_images:
            return
        if self.n_certain:
            yield self.patient_level()
            yield from self.several_tumors()
        elif not self.n_patients:
            yield unknown_patients()
            return
        else:
            yield from self.named_by_folders()
        yield from self.shared_names()

    def patient_level(self) -> Issue:
        """What the grouped split is worth where the files say who the patients are."""
        if self.is_patient_level:
            return Issue(
                "good",
                f"The grouped split is patient-level: {many(self.n_images, 'image')} of "
                f"{many(self.n_patients, 'patient')}, no patient in two of its splits.",
                "The patients are those that the files name. A person with two identifiers counts as two.",
                "Use the grouped split.",
            )
        if self.divided:
            return Issue(
                "serious",
                "The grouped split is not patient-level: "
                f"{many(self.divided, 'patient', 'is', 'are')} in more than one split.",
                "A score on it partly shows how well a network recognizes patients it has seen.",
                "Ingest the data again.",
            )
        unknown = self.n_images - self.n_certain
        return Issue(
            "notice",
            f"The grouped split is not patient-level: {unknown} of {many(self.n_images, 'image')} "
            f"{'has' if unknown == 1 else 'have'} no certain patient.",
            "It keeps each of the certain patients in one split. The other images may be of a patient who is in "
            "another split; the name of a folder may mean another person under each tumor type.",
            "Use DICOM or NIfTI files that name their patient for all images, or leave the other images out.",
        )

    def several_tumors(self) -> Iterator[Issue]:
        """A person with two tumor types is rare, a wrong label is not."""
        if self.tumors:
            yield Issue(
                "notice",
                f"{many(len(self.tumors), 'patient', 'has', 'have')} images of several tumor types (number of types): "
                f"{most_frequent(self.tumors)}.",
                "Few persons have two kinds of tumor, so some of these labels may be wrong. The images of each of "
                "these patients stay in one split.",
                "Check the labels of these patients. The manifest has the patient of each image.",
            )

    def named_by_folders(self) -> Iterator[Issue]:
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

    def shared_names(self) -> Iterator[Issue]:
        if self.shared:
            yield Issue(
                "notice",
                f"{many(len(self.shared), 'name', 'of a patient occurs', 'of patients occur')} under several tumor "
                f"types (number of types): {most_frequent(self.shared)}.",
                "If they are the same persons, images of one person may be in training and in test.",
                "If the numbers merely start again in each folder, nothing needs to be done.",
            )


def more_than_one(values: pd.Series, patients: pd.Series) -> dict[str, int]:
    """Number of different ``values`` by patient, for those who have more than one; null patients do not count."""
    counts = values.groupby(patients).nunique().sort_index()
    return {str(patient): int(n) for patient, n in counts.items() if n > 1}


def unknown_patients() -> Issue:
    return Issue(
        "notice",
        "The data set does not say which images belong to the same patient.",
        "Different images of one patient, such as neighboring slices, may be in training and in test, under both "
        "splits.",
        "Take every score as an upper bound for new patients. Test on other patients, from another source. "
        "If there is a folder for each patient, say which folder is the class: --class-level.",
    )
