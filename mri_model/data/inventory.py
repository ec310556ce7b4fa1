"""A folder in, one row for every file found out."""

import os
import posixpath
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mri_model.data.cache import ImageFacts, ImageFactsCache
from mri_model.data.decode import CONVERTIBLE, Content, cell_sums, decode, load_content, means
from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.labels import is_hidden, parse_label
from mri_model.data.parallel import chunks, ordered_map
from mri_model.data.profile import AUTO, LINK, Profile, learn_profile, load_profile
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress, with_progress

CHANNELS = 3
"""What every accepted image decodes to, for training and for scoring."""

ROWS_A_LOOKUP = 256


@dataclass(frozen=True)
class Inventory:
    """Every file below ``root``.

    ``frame`` has one row a file, sorted by ``path`` (see ``manifest.SCHEMA`` for the columns known so far);
    ``thumbnails`` is uint8 of shape (rows, 64, 64), zeros where a file was rejected. ``validation`` is the verdict,
    once there is one.
    """

    root: Path
    profile: Profile
    frame: pd.DataFrame
    thumbnails: np.ndarray
    validation: dict[str, Any] | None = None


class FoundFile(NamedTuple):
    """A listed file: its POSIX path relative to the folder looked at (bytes that are not UTF-8 become ``\\xNN``), and
    the path that the system knows it by."""

    path: str
    file: bytes
    is_link: bool


@dataclass(frozen=True)
class Entry:
    """One file that was read: its identity, and what it is, None where that is cached."""

    found: FoundFile
    sha256: str
    n_bytes: int
    facts: ImageFacts | None


def take_inventory(
    root: Path,
    profile: str = "auto",
    threads: int | None = None,
    progress: ProgressCallback = no_progress,
    cache: Path | None = None,
) -> Inventory:
    """Read every file below ``root`` once and label it by its folder; decode what ``cache`` (a folder) does not know.

    ``profile`` is ``auto`` (learnt from the folder), a shipped profile's name or a TOML file. Raises MriError where the
    folder is missing, empty or holds no image at all.
    """
    if cache and cache.resolve().is_relative_to(root.resolve()):
        raise MriError(f"{cache.parent} lies inside {root} and would be read as data", "set MRI_HOME to another place")
    known = None if profile == "auto" else load_profile(profile)
    frame, thumbnails = read_files(root, known.extensions if known else IMAGE_EXTENSIONS, threads, progress, cache)
    if not (frame["status"] == "ok").any():
        raise MriError(f"{root} holds {len(frame)} files but no readable image", f"first: {first_reason(frame)}")
    known = known or learn_profile(frame, empty_folders(root))
    labelled = label_rows(frame, known)
    if not (labelled["status"] == "ok").any():
        raise MriError(
            f"no image below {root} lies in a class folder ({first_reason(labelled)})",
            "give the folder that holds the class folders, or another --profile",
        )
    return Inventory(root, known, labelled, thumbnails)


def read_files(
    root: Path, extensions: tuple[str, ...], threads: int | None, progress: ProgressCallback, cache: Path | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """A row for every file below ``root``, not yet labelled, and the thumbnails: uint8 (rows, 64, 64)."""
    files = list_files(root)
    rows: list[dict[str, object]] = []
    thumbnails = np.zeros((len(files), 64, 64), np.uint8)
    with ImageFactsCache(cache) as memory:
        entries = ordered_map(lambda found: read_entry(found, memory.known), files, threads)
        for some in chunks(with_progress(entries, len(files), "read", progress), ROWS_A_LOOKUP):
            for entry, facts in look_up(some, memory):
                row = as_row(entry, facts, extensions)
                if row["status"] == "ok" and facts.thumbnail is not None:
                    thumbnails[len(rows)] = facts.thumbnail
                rows.append(row)
    return pd.DataFrame(rows), thumbnails


def list_files(root: Path) -> list[FoundFile]:
    """Every file below ``root``, sorted by path; links to folders are listed, not followed. Raises MriError if none."""
    if not root.is_dir():
        raise MriError(f"there is no folder {root}", "give the folder that holds the class folders")
    if not is_utf8(bytes(root.resolve())):
        raise MriError(f"the name of folder {bytes(root)!r} is not UTF-8", "rename it")
    try:
        files = sorted(walk(root))
    except OSError as error:
        raise MriError(
            f"cannot list {error.filename}: {error.strerror}", "mend its permissions and run again"
        ) from None
    if not files:
        raise MriError(f"{root} holds no files", "give the folder that holds the class folders")
    return files


def walk(root: Path) -> Iterator[FoundFile]:
    folders = [(str(root), "")]
    while folders:
        folder, above = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, f"{above}{entry.name}/"))
                else:
                    path = os.fsencode(above + entry.name).decode("utf-8", "backslashreplace")
                    yield FoundFile(path, os.fsencode(entry.path), entry.is_symlink())


def empty_folders(root: Path) -> list[str]:
    """Folders below ``root`` that hold nothing, or only what is hidden, by POSIX path relative to it, sorted."""
    walked = ((Path(folder), [*subfolders, *names]) for folder, subfolders, names in os.walk(root))
    empty = (folder for folder, held in walked if all(map(is_hidden, held)))
    return sorted(folder.relative_to(root).as_posix() for folder in empty if folder != root and is_utf8(bytes(folder)))


def read_entry(found: FoundFile, known: Set[str]) -> Entry:
    """Read one listed file and, if its content is not ``known``, look at it."""
    content = Content() if found.is_link else load_content(found.file)
    if content.sha256 in known:
        return Entry(found, content.sha256, content.n_bytes, None)
    return Entry(found, content.sha256, content.n_bytes, look_at(content))


def look_up(entries: list[Entry], memory: ImageFactsCache) -> Iterator[tuple[Entry, ImageFacts]]:
    """Each entry with its facts; what is new is cached."""
    cached = memory.get(entry.sha256 for entry in entries if not entry.facts)
    memory.put((entry.sha256, entry.facts) for entry in entries if entry.facts and entry.sha256)
    for entry in entries:
        yield entry, entry.facts or cached.get(entry.sha256) or look_at(load_content(entry.found.file))


def as_row(entry: Entry, facts: ImageFacts, extensions: tuple[str, ...]) -> dict[str, object]:
    """The row of one file, not yet labelled."""
    found = entry.found
    convertible = facts.reason if facts.reason and facts.reason.startswith(CONVERTIBLE) else None
    reason = refusal(found) or convertible or unknown_extension(found.path, extensions) or facts.reason
    return {
        "path": found.path,
        "sha256": entry.sha256,
        "n_bytes": entry.n_bytes,
        "extension": posixpath.splitext(found.path)[1],
        "format": facts.format,
        "height": facts.height,
        "width": facts.width,
        "channels": facts.channels,
        "stored_channels": facts.stored_channels,
        "pixel_crc32": facts.pixel_crc32,
        "status": "rejected" if reason else "ok",
        "reason": reason,
    }


def look_at(content: Content) -> ImageFacts:
    image = decode(content, grey=True)
    if image.pixels is None:
        return ImageFacts(image.format, None, None, None, image.stored_channels, None, image.reason, None)
    plane = np.ascontiguousarray(image.pixels)
    height, width = plane.shape
    sums = cell_sums(plane)
    crc = f"{zlib.crc32(sums.astype('<i8').tobytes()):08x}"
    small = means(sums, plane.size)
    return ImageFacts(image.format, height, width, CHANNELS, image.stored_channels, crc, None, small)


def refusal(found: FoundFile) -> str | None:
    """Why a file is refused for its name or kind, whatever it holds."""
    if not is_utf8(found.file):
        return "file name is not UTF-8"
    if found.is_link:
        return LINK
    return "hidden or system file" if is_hidden(found.path) else None


def unknown_extension(path: str, extensions: tuple[str, ...]) -> str | None:
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in extensions:
        return None
    return f"unknown extension {suffix}" if suffix else "no extension"


def is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def label_rows(frame: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Add ``label``, ``tumor`` and ``contrast``, by the folders above each file.

    A readable image below no class folder is rejected, with the folder's name in the reason.
    """
    names = [profile.class_of(path) for path in frame["path"]]
    labels = [parse_label(name) if name else None for name in names]
    frame = frame.assign(
        label=pd.Series(names, frame.index, dtype=object),
        tumor=pd.Series([label.tumor if label else None for label in labels], frame.index, dtype=object),
        contrast=pd.Series([label.contrast if label else None for label in labels], frame.index, dtype=object),
    )
    stray = (frame["status"] == "ok") & frame["label"].isna()
    frame.loc[stray, "reason"] = [stray_reason(path, profile) for path in frame.loc[stray, "path"]]
    frame.loc[stray, "status"] = "rejected"
    return frame


def stray_reason(path: str, profile: Profile) -> str:
    folder = path.rpartition("/")[0]
    known_only_by_itself = not folder or profile.name == AUTO
    return "not in a class folder" if known_only_by_itself else f"folder {folder!r} is no class of {profile.name}"


def first_reason(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    return f"{first['path']}: {first['reason']}"
