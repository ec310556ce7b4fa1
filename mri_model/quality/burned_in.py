"""Check: DICOM files that may have text burned into their pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.medical.slices import SUFFIX
from mri_model.data.patients import optional_column
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet


@dataclass(frozen=True)
class BurnedIn(Check):
    """What the accepted DICOM files say about text in their pixels (BurnedInAnnotation).

    Attributes:
        yes: Number of files that say there is some.
        missing: Number of files that do not say.
        no: Number of files that say there is none.
    """

    yes: int
    missing: int
    no: int

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.accepted_rows()
        dicom = rows[(rows["format"] == "DICOM").to_numpy(bool, na_value=False)]
        said = optional_column(dicom, "burned_in").fillna("missing")
        files = said[~dicom["path"].str.replace(SUFFIX, "", regex=True).duplicated()]
        return cls(int((files == "yes").sum()), int((files == "missing").sum()), int((files == "no").sum()))

    def issues(self) -> Iterator[Issue]:
        n = self.yes + self.missing + self.no
        if not n:
            return
        yield Issue(
            "notice",
            f"Of {n} DICOM {'file' if n == 1 else 'files'}, {many_say(self.yes)} that text is burned into the pixels, "
            f"{self.missing} {'does' if self.missing == 1 else 'do'} not say, {many_say(self.no)} that there is none.",
            "Such text may hold names. This program does not read it and cannot exclude it, whatever a header says. It "
            "may also tell a network the class.",
            "Look at the images before you share pages or pictures of them.",
        )


def many_say(n: int) -> str:
    return f"{n} {'says' if n == 1 else 'say'}"
