"""A folder in, one row for every file found out."""

import os
import posixpath
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mri_model.data.cache import Facts, FactsCache
from mri_model.data.parallel import in_order
from mri_model.data.reading import Content, decode, grey, load_content, thumbnail
from mri_model.errors import MriError
from mri_model.labels import is_hidden, parse_label
from mri_model.profile import AUTO, IMAGE_EXTENSIONS, Profile, learn_profile, load_profile
from mri_model.progress import Tick, silent, ticking

REMEMBERED_AT_ONCE = 256


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
    """One listed file: its row, its thumbnail where it was accepted, and the facts if they are new."""

    row: dict[str, object]
    thumbnail: np.ndarray | None
    discovered: tuple[str, Facts] | None


def take_inventory(
    root: Path, profile: str = "auto", threads: int | None = None, tick: Tick = silent, cache: Path | None = None
) -> Inventory:
    """Read every file below ``root`` once and label it by its folder; decode what ``cache`` (a folder) does not know.

    ``profile`` is ``auto`` (learnt from the folder), a shipped profile's name or a TOML file. Raises MriError where the
    folder is missing, empty or holds no image at all.
    """
    known = None if profile == "auto" else load_profile(profile)
    frame, thumbnails = read_files(root, known.extensions if known else IMAGE_EXTENSIONS, threads, tick, cache)
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
    root: Path, extensions: tuple[str, ...], threads: int | None, tick: Tick, cache: Path | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """A row for every file below ``root``, not yet labelled, and the thumbnails: uint8 (rows, 64, 64)."""
    files = list_files(root)
    rows, thumbnails = [], np.zeros((len(files), 64, 64), np.uint8)
    discovered: list[tuple[str, Facts]] = []
    with FactsCache(cache) as facts:
        entries = in_order(lambda found: read_entry(found, extensions, facts), files, threads)
        for index, entry in enumerate(ticking(entries, len(files), "read", tick)):
            rows.append(entry.row)
            if entry.thumbnail is not None:
                thumbnails[index] = entry.thumbnail
            if entry.discovered:
                discovered.append(entry.discovered)
            if len(discovered) == REMEMBERED_AT_ONCE:
                facts.put(discovered)
                discovered = []
        facts.put(discovered)
    return pd.DataFrame(rows), thumbnails


def list_files(root: Path) -> list[FoundFile]:
    """Every file below ``root``, sorted by path; links to folders are listed, not followed. Raises MriError if none."""
    if not root.is_dir():
        raise MriError(f"there is no folder {root}", "give the folder that holds the class folders")
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
    """Folders below ``root`` that hold nothing at all, by POSIX path relative to it, sorted."""
    empty = (Path(folder) for folder, subfolders, names in os.walk(root) if not subfolders and not names)
    return sorted(folder.relative_to(root).as_posix() for folder in empty if folder != root and is_utf8(bytes(folder)))


def read_entry(found: FoundFile, extensions: tuple[str, ...], cache: FactsCache) -> Entry:
    """The row of one listed file."""
    content = Content() if found.is_link else load_content(found.file)
    facts, is_new = find_facts(content, cache)
    reason = refusal(found) or unknown_extension(found.path, extensions) or facts.reason
    row = {
        "path": found.path,
        "sha256": content.sha256,
        "n_bytes": content.n_bytes,
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
    return Entry(row, None if reason else facts.thumbnail, (content.sha256, facts) if is_new else None)


def find_facts(content: Content, cache: FactsCache) -> tuple[Facts, bool]:
    """What a content is, and whether that is news: remembered where it can be, decoded where not."""
    if not content.data:
        return Facts(None, None, None, None, None, None, content.reason, None), False
    remembered = cache.get(content.sha256)
    return (remembered, False) if remembered else (look_at(content), True)


def look_at(content: Content) -> Facts:
    reading = decode(content)
    if reading.pixels is None:
        return Facts(reading.format, None, None, None, reading.stored_channels, None, reading.reason, None)
    plane = grey(reading)
    height, width, channels = reading.pixels.shape
    crc = f"{zlib.crc32(plane.data):08x}"
    return Facts(reading.format, height, width, channels, reading.stored_channels, crc, None, thumbnail(plane))


def refusal(found: FoundFile) -> str | None:
    """Why a file is refused for its name or kind, whatever it holds."""
    if not is_utf8(found.file):
        return "file name is not UTF-8"
    if found.is_link:
        return "symbolic link"
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
