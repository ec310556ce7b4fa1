"""Keyed hashes in place of file paths, which may hold names of patients, and the table of what they stand for."""

import csv
import io
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path

from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.labels import is_hidden
from mri_model.data.medical.kinds import EXTENSIONS
from mri_model.data.pseudonyms import DIGITS, Pseudonyms, write_private
from mri_model.errors import MriError
from mri_model.files import lock_of

TABLE = "paths.csv"


class HiddenPaths:
    """Replaces paths by keyed hashes, and keeps a table of them that only its owner can read.

    Args:
        folder: Where the table is, beside the key.
        pseudonyms: Makes the hashes.
    """

    def __init__(self, folder: Path, pseudonyms: Pseudonyms) -> None:
        self._folder, self._pseudonyms = folder, pseudonyms

    def hide(self, paths: Iterable[str]) -> dict[str, str]:
        """Each path → its hash, with the extension of an image and, of a hidden file, a dot before it.

        Raises:
            MriError: If the table cannot be written.
        """
        hashes = {path: self._pseudonyms.of("path", path) for path in paths}
        self._keep({name: path for path, name in hashes.items()})
        return {path: f"{'.' * is_hidden(path)}{name}{extension_of(path)}" for path, name in hashes.items()}

    def person(self, name: str) -> str:
        """The keyed hash of a patient whom a folder or a file name names."""
        return self._pseudonyms.of("person", name)

    def _keep(self, new: Mapping[str, str]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with lock_of(self._folder / f".{TABLE}.lock"):
                known = read_table(self._folder)
                if new.keys() - known.keys():
                    write_private(self._folder / TABLE, as_csv({**known, **new}))
        except OSError as error:
            raise MriError(
                f"cannot write {self._folder / TABLE}: {error.strerror or error}", "fix its permissions"
            ) from None


def read_table(folder: Path) -> dict[str, str]:
    """Hash → path. Raises OSError if it cannot be read; there may be none yet."""
    file = folder / TABLE
    if not file.exists():
        return {}
    return {row[0]: row[1] for row in csv.reader(io.StringIO(file.read_text("utf-8"), newline="")) if len(row) == 2}


def as_csv(table: Mapping[str, str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(sorted(table.items()))
    return text.getvalue().encode()


def revealed(table: Mapping[str, str], name: str) -> str:
    """The path that a hash stands for. Raises MriError if the table does not know it."""
    try:
        return table[hash_of(name)]
    except KeyError:
        raise MriError(
            f"the table of hashed paths does not know {name}", f"restore {TABLE} beside the key, or ingest again"
        ) from None


def hash_of(name: str) -> str:
    """The hash in a hidden path."""
    return name.lstrip(".")[:DIGITS]


def extension_of(path: str) -> str:
    """The extension of an image file; empty for others, which may be a part of a name."""
    if path.lower().endswith(".nii.gz"):
        return path[-7:]
    extension = posixpath.splitext(path)[1]
    return extension if extension.lower() in (*IMAGE_EXTENSIONS, *EXTENSIONS) else ""
