"""Cache of looks into DICOM and NIfTI files by content, beside that of image facts."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from mri_model.data.cache import SqliteCache
from mri_model.data.medical.choice import Axis
from mri_model.data.medical.look import Look
from mri_model.data.pseudonyms import Pseudonyms


class LookCache(SqliteCache):
    """``Look`` by SHA-256, for one axis and one key of pseudonyms.

    Args:
        folder: Of all caches; None for no cache.
        pseudonyms: Those in the looks.
        axis: Along which NIfTI volumes are cut.
    """

    def __init__(self, folder: Path | None, pseudonyms: Pseudonyms, axis: Axis) -> None:
        super().__init__(folder)
        self._suffix = f"@{axis}@{pseudonyms.of('cache')}" if folder else ""
        rows = self.query("SELECT sha256 FROM looks WHERE substr(sha256, 65) = ?", [self._suffix])
        self._known = frozenset(row[0][:64] for row in rows)

    def __enter__(self) -> Self:
        return self

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._known

    def get(self, contents: Iterable[str]) -> dict[str, Look]:
        """Cached looks by SHA-256; contents that are not cached are left out.

        Args:
            contents: SHA-256 digests, at most a few hundred.
        """
        wanted = [sha256 + self._suffix for sha256 in set(contents)]
        marks = ", ".join("?" * len(wanted))
        found = {}
        for key, text in self.query(f"SELECT sha256, look FROM looks WHERE sha256 IN ({marks})", wanted):
            with contextlib.suppress(ValueError, TypeError, KeyError):  # a damaged row counts as not cached
                found[key[:64]] = Look.from_json(text)
        return found

    def put(self, looks: Iterable[tuple[str, Look]]) -> None:
        """Add looks by SHA-256; existing rows stay."""
        rows = [(sha256 + self._suffix, look.to_json()) for sha256, look in looks if sha256]
        self.insert("INSERT OR IGNORE INTO looks VALUES (?, ?)", rows)
