"""Check: masks among the images."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.data.labels import comparable
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.wording import many

WORDS = "mask|seg|segmentation|label|labelmap|annotation|roi|gt|ground truth|overlay"
MASK_NAME = re.compile(rf"(?P<image>.+?) (?:{WORDS})s?(?: \d+)?|(?:{WORDS})s? (?P<of>.+)")
"""A mask's name, as ``comparable`` writes it: that of its image, with one of ``WORDS`` at an end."""

MASK_FOLDER = re.compile(rf"(?:.+ )?(?:{WORDS})s?")


@dataclass(frozen=True)
class Masks(Check):
    """Accepted images that are masks by their names.

    Attributes:
        n: Number of images whose name is that of another image in the folder with a word such as ``mask``, or that lie
            in a folder with such a name.
        examples: The first paths.
    """

    n: int
    examples: tuple[str, ...]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        paths = [str(path) for path in data.accepted_rows()["path"]]
        names = {split_path(path) for path in paths}
        masks = [path for path in paths if is_mask(*split_path(path), names)]
        return cls(len(masks), tuple(masks[:3]))

    def issues(self) -> Iterator[Issue]:
        if not self.n:
            return
        yield Issue(
            "serious",
            f"{many(self.n, 'image', 'has the name of a mask', 'have names of masks')}: {', '.join(self.examples)}"
            f"{' …' if self.n > len(self.examples) else ''}.",
            "A mask is not an MRI image. It shows where a tumor is, and its own class is easy to learn.",
            "Move the masks out of the data set and run the ingestion again.",
        )


def split_path(path: str) -> tuple[str, str]:
    """The folder of a file, and its name without extension as ``comparable`` writes it."""
    folder, _, name = path.rpartition("/")
    return folder, comparable(posixpath.splitext(name)[0])


def is_mask(folder: str, name: str, names: set[tuple[str, str]]) -> bool:
    """Whether a file is a mask.

    Args:
        folder: The folder that holds it.
        name: Its name, see ``split_path``.
        names: All files, see ``split_path``.
    """
    if any(MASK_FOLDER.fullmatch(comparable(part)) for part in folder.split("/")):
        return True
    found = MASK_NAME.fullmatch(name)
    return found is not None and (folder, found["image"] or found["of"]) in names
