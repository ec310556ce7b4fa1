"""Folder names: the tumor type and contrast of a class, and the names that are no class.

Which folder above a file is its class is decided in ``class_folders``.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

CONTRASTS = ("T1", "T1C+", "T2")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders that hold a split, and which one it is."""

SYSTEM_NAMES = frozenset(
    {
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "$recycle",
        "recycler",
        "recycled",
        "system volume information",
        "found.000",
        "lost+found",
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "#recycle",
        "#snapshot",
    }
)
"""Files and folders that macOS, Windows, Linux, Synology and QNAP create, in lower case.

Names that begin with a dot are hidden as well."""

SEPARATORS = r"[\s_\-]"


@dataclass(frozen=True, order=True)
class Label:
    """One class.

    Attributes:
        name: The class as it is spelled.
        tumor: The name without its contrast and without leading ``_``.
        contrast: One of ``CONTRASTS``, or None if the name has none.
    """

    name: str
    tumor: str
    contrast: str | None


def parse_label(name: str) -> Label:
    """Split a class name into tumor and contrast; leading ``_`` are dropped from the tumor.

    The contrast is recognized in any case, after a blank, an underscore or a hyphen.

    >>> parse_label("_NORMAL T1")
    Label(name='_NORMAL T1', tumor='NORMAL', contrast='T1')
    """
    found = re.fullmatch(rf"(.+?){SEPARATORS}+([^\s_\-]+)\s*", name, re.DOTALL)
    contrast = bare_contrast(found[2]) if found else None
    tumor = found[1].lstrip("_").strip() if found else ""
    if contrast and tumor:
        return Label(name, tumor, contrast)
    return Label(name, name.lstrip("_") or name, None)


def bare_contrast(name: str) -> str | None:
    """The contrast that a name consists of, in any case; None if it is anything else.

    >>> bare_contrast("t1c+")
    'T1C+'
    """
    return BARE_CONTRASTS.get(comparable(name))


@lru_cache(maxsize=65_536)
def comparable(name: str) -> str:
    """Equal for names that people read as the same one.

    Unicode NFKC and case folding, without invisible characters; blanks, underscores and hyphens count as one blank
    between words and as nothing around them.

    >>> comparable("_Glioma\\u00a0 T1c+ ")
    'glioma t1c+'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return re.sub(f"{SEPARATORS}+", " ", visible).strip() or visible


BARE_CONTRASTS = {comparable(contrast): contrast for contrast in CONTRASTS}


def split_of_folder(folder: str) -> str | None:
    """``train``, ``val`` or ``test`` if a folder has the name of a split, otherwise None."""
    return SPLIT_FOLDERS.get(comparable(folder))


def is_split_folder(folder: str) -> bool:
    return split_of_folder(folder) is not None


def is_hidden(path: str) -> bool:
    """Whether a part of a relative POSIX path is hidden or belongs to the operating system."""
    return any(part.startswith(".") or part.casefold() in SYSTEM_NAMES for part in path.split("/"))
