"""Check: files that were rejected, by reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.label_table import IS_LABELS
from mri_model.data.medical.choice import is_left_out
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import counted
from mri_model.quality.wording import many, most_frequent

SERIOUS_SHARE = 0.05
"""Share of rejected files from which the issue is serious."""


@dataclass(frozen=True)
class RejectedFiles(Check):
    """How many files were found, accepted and rejected.

    Attributes:
        found: Number of files; of those with several slices the slices count.
        left_out: Slices that could be read and were left out by choice; they do not count as rejected.
        by_reason: Number of rejected files per kind of reason, most frequent first.
    """

    found: int
    accepted: int
    rejected: int
    left_out: int
    by_reason: dict[str, int]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        reasons = data.frame.loc[~data.accepted, "reason"].fillna("no reason given")
        chosen, is_table = is_left_out(reasons), reasons == IS_LABELS
        failed = reasons[~chosen & ~is_table]
        n_accepted = int(data.accepted.sum())
        n_found = n_accepted + len(failed)
        return cls(n_found, n_accepted, len(failed), int(chosen.sum()), counted(failed.map(reason_kind)))

    def issues(self) -> Iterator[Issue]:
        if not self.rejected:
            claim = f"{many(self.found, 'file')} found, all readable and accepted."
            yield Issue("good", claim, "", "Nothing to do.")
            return
        were = "was" if self.rejected == 1 else "were"
        yield Issue(
            "serious" if self.rejected >= SERIOUS_SHARE * self.found else "notice",
            f"{self.rejected} of {many(self.found, 'file')} {were} rejected: {most_frequent(self.by_reason)}.",
            "Rejected files are in no split: they are neither trained on nor tested on.",
            "If you need them, repair or replace them and run the ingestion again. "
            "The manifest gives the reason for each file.",
        )


def reason_kind(reason: str) -> str:
    """A reason without the part that differs from file to file."""
    if reason.startswith("breaks the rule: "):
        return reason
    if reason.startswith("folder "):
        return "folder is no class of the profile"
    if reason.startswith("unknown extension"):
        return "unknown extension"
    return reason.partition(":")[0]
