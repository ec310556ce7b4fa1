"""Folder names: the tumor type and contrast of a class, and which folder above a file is its class."""

from dataclasses import dataclass

CONTRASTS = ("T1", "T1C+", "T2")
SPLIT_FOLDERS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})
"""Files and folders that macOS, Windows and Synology create, in lower case. Names that begin with a dot are hidden."""


@dataclass(frozen=True, order=True)
class Label:
    """One class.

    Attributes:
        name: The folder's name, as it is spelled.
        tumor: The name without its contrast and without leading ``_``.
        contrast: One of ``CONTRASTS``, or None if the name has none.
    """

    name: str
    tumor: str
    contrast: str | None


def parse_label(folder: str) -> Label:
    """Split a folder name into tumor and contrast; leading ``_`` are dropped from the tumor.

    >>> parse_label("_NORMAL T1")
    Label(name='_NORMAL T1', tumor='NORMAL', contrast='T1')
    """
    head, _, tail = folder.rpartition(" ")
    if head and tail in CONTRASTS:
        return Label(folder, head.lstrip("_"), tail)
    return Label(folder, folder.lstrip("_") or folder, None)


def class_folder(path: str) -> str | None:
    """The class of a file, by its path alone; for use when no profile names the classes.

    The class is the nearest folder above whose name has a contrast, else the folder that holds the file.

    Args:
        path: POSIX path relative to the data root.

    Returns:
        The class, or None for a file in the root, directly in a folder such as ``train/``, or hidden.

    >>> class_folder("train/Meningioma T1/patient 3/scan.jpg")
    'Meningioma T1'
    """
    folders = path.split("/")[:-1]
    if not folders or is_hidden(path):
        return None
    return nearest_contrast(folders) or (None if is_split_folder(folders[-1]) else folders[-1])


def nearest_contrast(folders: list[str]) -> str | None:
    """The last of ``folders`` (outermost first) whose name has a contrast, or None."""
    return next((folder for folder in reversed(folders) if parse_label(folder).contrast), None)


def is_split_folder(folder: str) -> bool:
    return folder.casefold() in SPLIT_FOLDERS


def is_hidden(path: str) -> bool:
    """Whether a part of a relative POSIX path is hidden or belongs to the operating system."""
    return any(part.startswith(".") or part.casefold() in SYSTEM_NAMES for part in path.split("/"))
