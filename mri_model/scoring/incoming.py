"""What lies in the folder of incoming folders."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mri_model.data.labels import is_hidden
from mri_model.data.listing import is_utf8, require_folder
from mri_model.errors import MriError
from mri_model.scoring.listing import state_of_folder

WANTED = "set MRI_INCOMING to the folder that holds the incoming folders, or mount it"


@dataclass(frozen=True)
class SeenFolder:
    """A subfolder with files.

    Attributes:
        folder: Its resolved path.
        listing: Digest of its listing: the same for an unchanged folder.
        n_files: Number of files below it.
        newest_at: When the last of them was written, by the clock of the file system.
    """

    folder: str
    listing: str
    n_files: int
    newest_at: datetime


def look_at(incoming: Path) -> tuple[list[SeenFolder], list[str]]:
    """The direct subfolders with files, by name, and the names of what is not scored because it is no folder.

    Hidden files and folders are neither: upload programs keep their unfinished work in them.

    Raises:
        MriError: If ``incoming`` is missing, is a file or cannot be listed.
    """
    base = require_folder(incoming, WANTED)
    try:
        entries = sorted(os.scandir(bytes(base)), key=lambda entry: entry.name)
    except OSError as error:
        raise MriError(f"cannot list {base}: {error.strerror or error}", "fix its permissions") from None
    seen, loose = [], []
    for entry in entries:
        shown = entry.name.decode(errors="backslashreplace")
        if is_hidden(shown):
            continue
        if not entry.is_dir(follow_symlinks=False) or not is_utf8(entry.name):
            loose.append(shown)
        elif (found := look_into(base / shown)) is not None:
            seen.append(found)
    return seen, loose


def look_into(folder: Path) -> SeenFolder | None:
    """A subfolder; None if it has no files yet, or is gone by now."""
    try:
        state = state_of_folder(folder)
    except MriError:
        return None
    if not state.n_files or not folder.is_dir():
        return None
    return SeenFolder(folder.as_posix(), state.digest, state.n_files, datetime.fromtimestamp(state.newest, UTC))
