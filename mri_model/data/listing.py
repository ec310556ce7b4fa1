"""Every file below a folder, with the path that rows show, and the reasons to reject it without reading it."""

import os
from collections.abc import Iterable, Iterator
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
    """

    path: str
    file: bytes
    is_link: bool


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
    if root.is_file():
        raise MriError(f"{root} is a file, not a folder", wanted)
    if not root.is_dir():
        raise MriError(f"there is no folder {root}", wanted)
    if not is_utf8(bytes(root.resolve())):
        raise MriError(f"the name of folder {bytes(root)!r} is not UTF-8", "rename it")
    try:
        files = sorted(with_shown_paths(root, walk(root)))
    except OSError as error:
        raise MriError(
            f"cannot list {error.filename}: {error.strerror}", "fix its permissions and run the command again"
        ) from None
    if not files:
        raise MriError(f"{root} has no files", wanted)
    return files


def walk(root: Path) -> Iterator[tuple[bytes, bool]]:
    """Every file below ``root`` in no particular order: its path relative to ``root``, and whether it is a link.

    A system folder that cannot be listed counts as a file. Raises OSError if any other folder cannot be listed.
    """
    folders = [""]
    while folders:
        above = folders.pop()
        try:
            entries = list(os.scandir(root / above))
        except OSError:
            if not is_hidden(above):
                raise
            yield os.fsencode(above), False
            continue
        for entry in entries:
            path = f"{above}/{entry.name}" if above else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            else:
                yield os.fsencode(path), entry.is_symlink()


def with_shown_paths(root: Path, files: Iterable[tuple[bytes, bool]]) -> Iterator[FoundFile]:
    """Each file with the path to show. Names that are not UTF-8 are escaped, again where another file has that name."""
    listed = sorted(files)
    taken = {name.decode() for name, _ in listed if is_utf8(name)}
    for name, is_link in listed:
        path = name.decode(errors="backslashreplace")
        while not is_utf8(name) and path in taken:
            path = path.replace("\\", "\\\\")
        taken.add(path)
        yield FoundFile(path, bytes(root) + b"/" + name, is_link)


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
    return "hidden or system file" if is_hidden(found.path) else None


def is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
