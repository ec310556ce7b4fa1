"""What folder names say: tumor type, contrast, and which folder above a file is its class."""

from dataclasses import dataclass

CONTRASTS = ("T1", "T1C+", "T2")
SPLIT_FOLDERS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})
"""Litter of macOS, Windows and Synology, in lower case; names that begin with a dot are hidden as well."""


@dataclass(frozen=True, order=True)
class Label:
    """One class. ``name`` is the folder's own spelling; ``contrast`` is None where the name carries none."""

    name: str
    tumor: str
    contrast: str | None


def parse_label(folder: str) -> Label:
    """Read ``<tumor> <contrast>`` from a folder name; a leading ``_`` is dropped from the tumor.

    >>> parse_label("_NORMAL T1")
    Label(name='_NORMAL T1', tumor='NORMAL', contrast='T1')
    """
    head, _, tail = folder.rpartition(" ")
    if head and tail in CONTRASTS:
        return Label(folder, head.lstrip("_"), tail)
    return Label(folder, folder.lstrip("_") or folder, None)


def class_folder(path: str) -> str | None:
    """The class that a file's place suggests where no profile says what the classes are.

    ``path`` is POSIX and relative to the data root. The class is the nearest folder that carries a contrast, else the
    folder the file lies in. None in the root, directly in ``train/`` and the like, and for what is hidden.

    >>> class_folder("train/Meningioma T1/patient 3/scan.jpg")
    'Meningioma T1'
    """
    folders = path.split("/")[:-1]
    if not folders or is_hidden(path):
        return None
    return nearest_contrast(folders) or (None if is_split_folder(folders[-1]) else folders[-1])


def nearest_contrast(folders: list[str]) -> str | None:
    """The innermost of ``folders`` (outermost first) whose name carries a contrast."""
    return next((folder for folder in reversed(folders) if parse_label(folder).contrast), None)


def is_split_folder(folder: str) -> bool:
    return folder.casefold() in SPLIT_FOLDERS


def is_hidden(path: str) -> bool:
    """Whether a relative POSIX path lies in, or is, something hidden or a system's own litter."""
    return any(part.startswith(".") or part.casefold() in SYSTEM_NAMES for part in path.split("/"))
