"""One picture of a DICOM or NIfTI file: its name in paths, and what decoding it needs to know."""

import re
from dataclasses import dataclass

from mri_model.data.medical.window import Window

SUFFIX = re.compile(r"#((?:frame|[xyz])=\d+)$")


@dataclass(frozen=True)
class Slice:
    """A picture of a DICOM or NIfTI file.

    Attributes:
        name: ``frame=4`` (from 1) or ``z=23`` (from 0); empty for the only picture of a DICOM file.
        window: The values that are shown black and white; None if the file itself says how it is shown.
    """

    name: str
    window: Window | None

    @property
    def index(self) -> int:
        """Its number in the file, from 0."""
        kind, _, number = self.name.partition("=")
        return int(number or 1) - (1 if kind in ("frame", "") else 0)

    @property
    def axis(self) -> str:
        """``x``, ``y`` or ``z`` for a slice of a NIfTI volume."""
        return self.name.partition("=")[0]

    @property
    def key(self) -> str:
        """Identifies the picture in its file."""
        window = f"{self.window[0]!r}:{self.window[1]!r}" if self.window else ""
        return f"#{self.name}@{window}"


def with_slice(path: str, name: str) -> str:
    """The path of a picture: ``a.nii.gz`` and ``z=23`` give ``a.nii.gz#z=23``."""
    return f"{path}#{name}" if name else path


def split_slice(path: str) -> tuple[str, str]:
    """The file and the slice of the path of a DICOM or NIfTI picture; the slice is empty if it has none.

    >>> split_slice("sub-01/a.nii.gz#z=23")
    ('sub-01/a.nii.gz', 'z=23')
    """
    found = SUFFIX.search(path)
    return (path[: found.start()], found[1]) if found else (path, "")
