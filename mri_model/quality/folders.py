"""Check: folders that were perhaps not read as they are meant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.inventory import NO_CLASS
from mri_model.data.profile import folder_of
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import counted
from mri_model.quality.wording import many


@dataclass(frozen=True)
class Folders(Check):
    """Folders that have the name of a split, and classes that have no contrast.

    Attributes:
        split_names: Number of rejected images by folder, for folders such as ``test`` that hold images but no class.
        with_contrast: Number of classes with a contrast.
        without_contrast: The classes without one, sorted.
    """

    split_names: dict[str, int]
    with_contrast: int
    without_contrast: tuple[str, ...]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        reasons = data.frame.loc[~data.accepted, ["path", "reason"]].dropna()
        stray = reasons.loc[reasons["reason"].str.startswith(f"{NO_CLASS}: "), "path"].map(folder_of)
        used = tuple(data.accepted_rows()["path"])
        folders = {folder: n for folder, n in counted(stray).items() if not holds_any(folder, used)}
        classes = data.accepted_rows()[["label", "contrast"]].drop_duplicates()
        plain = classes.loc[classes["contrast"].isna(), "label"]
        return cls(folders, len(classes) - len(plain), tuple(sorted(plain)))

    def issues(self) -> Iterator[Issue]:
        for folder, n in self.split_names.items():
            yield Issue(
                "serious",
                f"Folder {folder!r} holds {many(n, 'image')} and no class folder; rejected, because the folder has the "
                "name of a split.",
                "If it is a class, that class is missing.",
                f"If it is a class, say so: --class-level {folder.count('/') + 1}, or name it in a profile. "
                "If its images have no class, nothing needs to be done.",
            )
        if self.with_contrast and self.without_contrast:
            plain = self.without_contrast
            yield Issue(
                "notice",
                f"{many(len(plain), 'class', 'has', 'have')} no contrast in the name, "
                f"{self.with_contrast} {'has' if self.with_contrast == 1 else 'have'} one.",
                f"Without a contrast: {', '.join(plain[:5])}{' …' if len(plain) > 5 else ''}. "
                "They are missing from the results by contrast, and perhaps they are no classes.",
                "Name all classes in the same way, or move the folders that are no classes out of the data set.",
            )


def holds_any(folder: str, paths: tuple[str, ...]) -> bool:
    return any(path.startswith(f"{folder}/") for path in paths)
