"""Which folder above a file names its class, and which one its patient."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mri_model.data.labels import bare_contrast, is_hidden, is_split_folder, parse_label
from mri_model.errors import UsageError


class ClassFolder(NamedTuple):
    """A folder above a file that may be its class.

    Attributes:
        name: The class: the folder's own name, or that of a tumor folder together with a contrast folder.
        depth: Which of the folders names the tumor; 1 is directly below the data root.
        is_certain: Whether it is a class beyond doubt: its name has a contrast, or a person named it.
    """

    name: str
    depth: int
    is_certain: bool = False


@dataclass(frozen=True)
class ClassNaming:
    """How the folders above a file name its class.

    Attributes:
        level: Which folder is the class: 1 is directly below the data root, -1 is the one that holds the file. 0: the
            nearest folder with a contrast, otherwise the one that holds the file.
        renamed: Class as found → class as it is called from here on.
    """

    level: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)

    def candidates(self, folder: str) -> list[ClassFolder]:
        """The folders that may be the class of the files in a folder, outermost first, under their new names.

        Args:
            folder: POSIX path relative to the data root, empty for the root.

        Returns:
            None of them in the root and in hidden folders.
        """
        return [
            ClassFolder(self.renamed[name], depth, True) if name in self.renamed else ClassFolder(name, depth, certain)
            for name, depth, certain in self.found(folder)
        ]

    def found(self, folder: str) -> list[ClassFolder]:
        """``candidates`` under the names of the folders themselves."""
        folders = parts_of(folder)
        if is_hidden(folder):
            return []
        return list(folder_at(folders, self.level) if self.level else every_folder(folders))

    def suggest(self, folder: str) -> ClassFolder | None:
        """The class of the files in a folder, by its path alone; for use when no profile names the classes.

        Returns:
            The class, or None in the root, in a folder such as ``train`` that is in no class, and in hidden folders.

        >>> ClassNaming().suggest("train/Meningioma/T1/patient 3")
        ClassFolder(name='Meningioma T1', depth=2, is_certain=True)
        """
        chosen = nearest(self.candidates(folder))
        if chosen and not chosen.is_certain and is_split_folder(parts_of(folder)[-1]):
            return None
        return chosen

    def patient(self, folder: str) -> str | None:
        """The folder below the class folder; None unless ``level`` says which folder is the class.

        Folders such as ``train`` and ``T1`` are no patients.

        >>> ClassNaming(level=1).patient("glioma/T1/patient 3")
        'patient 3'
        """
        folders = parts_of(folder)
        if not self.level or not self.found(folder):
            return None
        below = folders[index_of(folders, self.level) + 1 :]
        return next((each for each in below if not is_split_folder(each) and not bare_contrast(each)), None)


AUTO_NAMING = ClassNaming()
"""By the names of the folders alone."""


def nearest(folders: list[ClassFolder]) -> ClassFolder | None:
    """The nearest folder that is a class beyond doubt, otherwise the nearest one."""
    inwards = folders[::-1]
    return next((folder for folder in inwards if folder.is_certain), next(iter(inwards), None))


def every_folder(folders: list[str]) -> Iterator[ClassFolder]:
    """Each of ``folders`` (outermost first); ``T1`` below ``Glioma`` also gives the class ``Glioma T1``."""
    for index, folder in enumerate(folders):
        yield ClassFolder(folder, index + 1, parse_label(folder).contrast is not None)
        if contrast := bare_contrast(folder):
            yield from with_contrast(folders, index, contrast)


def with_contrast(folders: list[str], index: int, contrast: str) -> Iterator[ClassFolder]:
    """The class of a contrast folder and the tumor folder above it; none if there is none or it has a contrast."""
    tumor = next((above for above in reversed(range(index)) if not is_split_folder(folders[above])), None)
    if tumor is not None and not bare_contrast(folders[tumor]) and not parse_label(folders[tumor]).contrast:
        yield ClassFolder(f"{folders[tumor]} {contrast}", tumor + 1, True)


def folder_at(folders: list[str], level: int) -> Iterator[ClassFolder]:
    """The class at a level, with the contrast of the nearest contrast folder below it or above it, if any."""
    index = index_of(folders, level)
    if not 0 <= index < len(folders):
        return
    folder = folders[index]
    if contrast := bare_contrast(folder):
        yield next(with_contrast(folders, index, contrast), ClassFolder(folder, index + 1, True))
        return
    around = [] if parse_label(folder).contrast else [*folders[index + 1 :], *reversed(folders[:index])]
    nearby = next(filter(None, map(bare_contrast, around)), None)
    yield ClassFolder(f"{folder} {nearby}" if nearby else folder, index + 1, True)


def parts_of(folder: str) -> list[str]:
    """The folders of a POSIX path, outermost first; none for the root."""
    return folder.split("/") if folder else []


def index_of(folders: list[str], level: int) -> int:
    """Position of the folder at a level; outside of ``folders`` if there is none."""
    return level - 1 if level > 0 else len(folders) + level


def parse_renamed(texts: list[str]) -> dict[str, str]:
    """Texts like ``old=new`` as old → new. Raises UsageError for a text that is none, and for two new names of one."""
    renamed: dict[str, str] = {}
    for text in texts:
        old, _, new = text.partition("=")
        if not old or not new.strip():
            raise UsageError(f"--map cannot be {text!r}", "use --map OLD=NEW, for example --map glioma_tumor=glioma")
        if renamed.setdefault(old, new) != new:
            raise UsageError(f"--map gives {old!r} two names: {renamed[old]!r} and {new!r}", "give it one")
    return renamed
