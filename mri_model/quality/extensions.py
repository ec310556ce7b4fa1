"""Check: file extensions that do not match the content."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pandas as pd

from mri_model.data.formats import FORMATS
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import counted
from mri_model.quality.wording import many, most_frequent


@dataclass(frozen=True)
class Extensions(Check):
    """Accepted files whose extension does not match their content.

    Attributes:
        wrong: Number of these files.
        wrong_by_kind: Number per kind (``.png holds JPEG``), most frequent first.
    """

    wrong: int
    wrong_by_kind: dict[str, int]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.accepted_rows()
        wrong = [
            f"{extension.lower() or 'no extension'} holds {content}"
            for extension, content in zip(rows["extension"], rows["format"], strict=True)
            if isinstance(content, str) and extension.lower() not in FORMATS.get(content, (extension.lower(),))
        ]
        return cls(len(wrong), counted(pd.Series(wrong, dtype=object)))

    def issues(self) -> Iterator[Issue]:
        if not self.wrong:
            return
        yield Issue(
            "notice",
            f"{many(self.wrong, 'file', 'has', 'have')} an extension that does not match the content: "
            f"{most_frequent(self.wrong_by_kind)}.",
            "Files are read by their content, so nothing is lost here. Other programs may fail on them.",
            "Rename these files if other programs are to read them.",
        )
