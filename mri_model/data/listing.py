"""Every file below a folder, with the path that rows show, and the reasons to reject it without reading it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mri_model.data.labels import is_hidden, parse_label
from mri_model.errors import MriError

LINK = "symbolic link"
"""Why a link is rejected."""


class FoundFile(NamedTuple):
    """A listed file.

    Attributes:
        path: POSIX, relative to the listed folder, unique; bytes that are not UTF-8 become ``\\xNN``.
        file: The path as the operating system knows it.
        is_link: Whether it is a symbolic link.
        problem: Why this folder, which counts as one file, cannot be listed; None for a file.
    """

    path: str
    file: bytes
    is_link: bool
    problem: str | None = None


def check_outside(home: Path, root: Path) -> None:
    """Raises MriError if ``home``, where the system writes, is inside the data below ``root``."""
    if home.resolve().is_relative_to(root.resolve()):
        raise MriError(f"{home} is inside {root} and would be read as data", "set MRI_HOME to another place")


def list_files(root: Path, wanted: str = "give the folder that holds the class folders") -> list[FoundFile]:
    """Every file below ``root``, sorted by path. Links to folders are listed but not followed.

    Args:
        wanted: What to do if this is not the right folder.

    Raises:
        MriError: If the folder is missing, is a file, cannot be listed or has no file.
    """
    require_folder(root, wanted)
    files = sorted(walk(root))
    for found in files:
        if found.problem and not is_hidden(found.path):
            raise MriError(
                f"cannot list {os.fsdecode(found.file)}: {found.problem}",
                "fix its permissions and run the command again",
            )
    if not files:
        raise MriError(f"{root} has no files", wanted)
    return files


def require_folder(root: Path, wanted: str) -> Path:
    """The resolved path of a folder. Raises MriError if it is missing, is a file or its name is not UTF-8."""
    if root.is_file():
        raise MriError(f"{root} is a file, not a folder", wanted)
    if not root.is_dir():
        raise MriError(f"there is no folder {root}", wanted)
    if not is_utf8(bytes(root.resolve())):
        raise MriError(f"the name of folder {bytes(root)!r} is not UTF-8", "rename it")
    return root.resolve()


def walk(root: Path) -> Iterator[FoundFile]:
    """Every file below ``root``, sorted by the bytes of its path. Memory grows with the largest folder only.

    A folder that cannot be listed counts as one file, with a ``problem``.
    """
    levels = [folder_entries(bytes(root), "")]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif isinstance(entry, FoundFile):
            yield entry
        else:
            levels.append(folder_entries(*entry))


def folder_entries(folder: bytes, shown: str) -> Iterator[FoundFile | tuple[bytes, str]]:
    """The files of one folder, and (path, shown path) of its folders, in the order of their files' full paths."""
    try:
        listed = sorted(
            (entry.name + b"/" if entry.is_dir(follow_symlinks=False) else entry.name, entry.is_symlink())
            for entry in os.scandir(folder)
        )
    except OSError as error:
        yield FoundFile(shown or ".", folder, False, error.strerror or str(error))
        return
    names = shown_names([name.rstrip(b"/") for name, _ in listed])
    for (name, is_link), own in zip(listed, names, strict=True):
        path = f"{shown}/{own}" if shown else own
        if name.endswith(b"/"):
            yield folder + b"/" + name[:-1], path
        else:
            yield FoundFile(path, folder + b"/" + name, is_link)


def shown_names(names: list[bytes]) -> Iterator[str]:
    """The name to show for each of a folder's names.

    Those that are not UTF-8 are escaped, again where another one has that name.
    """
    taken = {name.decode() for name in names if is_utf8(name)}
    for name in names:
        shown = name.decode(errors="backslashreplace")
        while not is_utf8(name) and shown in taken:
            shown = shown.replace("\\", "\\\\")
        taken.add(shown)
        yield shown


def unread_folders(root: Path) -> list[str]:
    """Folders below ``root`` of which no file is read: those that are empty or have only hidden contents, and links.

    A dangling link counts as a folder if its name has a contrast.

    Returns:
        Sorted POSIX paths relative to ``root``.
    """
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        above = Path(folder)
        if above != root and all(map(is_hidden, [*subfolders, *names])):
            found.append(above)
        found += [above / name for name in subfolders if (above / name).is_symlink()]
        found += [above / name for name in names if parse_label(name).contrast and (above / name).is_symlink()]
    return sorted(folder.relative_to(root).as_posix() for folder in found if is_utf8(bytes(folder)))


def refusal(found: FoundFile) -> str | None:
    """The reason to reject a file because of its name or kind; None if there is none. The content is not read."""
    if not is_utf8(found.file):
        return "file name is not UTF-8"
    if found.is_link:
        return LINK
    if found.problem and not is_hidden(found.path):
        return f"folder cannot be listed: {found.problem}"
    return "hidden or system file" if is_hidden(found.path) else None


def is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
