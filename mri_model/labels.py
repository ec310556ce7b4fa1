"""What a class folder's name says: tumour type and contrast."""

from dataclasses import dataclass

CONTRASTS = ("T1", "T1C+", "T2")


@dataclass(frozen=True, order=True)
class Label:
    """One class. ``name`` is the folder's own spelling; ``contrast`` is None where the name carries none."""

    name: str
    tumor: str
    contrast: str | None


def parse_label(folder: str) -> Label:
    """Read ``<tumor> <contrast>`` from a folder name; a leading ``_`` is dropped from the tumour.

    >>> parse_label("_NORMAL T1")
    Label(name='_NORMAL T1', tumor='NORMAL', contrast='T1')
    """
    head, _, tail = folder.rpartition(" ")
    if head and tail in CONTRASTS:
        return Label(folder, head.lstrip("_"), tail)
    return Label(folder, folder.lstrip("_") or folder, None)
