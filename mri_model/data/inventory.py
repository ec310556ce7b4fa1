"""A folder in, one row for every file found out."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from mri_model.data.reading import Reading, read_image, thumbnail
from mri_model.errors import MriError
from mri_model.labels import parse_label
from mri_model.profile import IMAGE_EXTENSIONS, Profile, learn_profile, load_profile
from mri_model.progress import Tick, silent, ticking


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


def take_inventory(root: Path, profile: str = "auto", threads: int | None = None, tick: Tick = silent) -> Inventory:
    """Read every file below ``root`` once and label it by its folder.

    ``profile`` is ``auto`` (learnt from the folder), a shipped profile's name or a TOML file. Raises MriError where the
    folder is missing, empty or holds no image at all.
    """
    known = None if profile == "auto" else load_profile(profile)
    files = list_files(root)
    extensions = known.extensions if known else IMAGE_EXTENSIONS
    rows, thumbnails = [], np.zeros((len(files), 64, 64), np.uint8)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        entries = pool.map(lambda file: read_entry(file, root, extensions), files)
        for index, (row, small) in enumerate(ticking(entries, len(files), "read", tick)):
            rows.append(row)
            if small is not None:
                thumbnails[index] = small
    frame = pd.DataFrame(rows)
    readable = frame.loc[frame["status"] == "ok", "path"]
    if readable.empty:
        raise MriError(f"{root} holds {len(files)} files but no readable image", f"first: {first_reason(frame)}")
    if not known:
        known = learn_profile(folder for path in readable if (folder := path.rpartition("/")[0].rpartition("/")[2]))
    labelled = label_rows(frame, known)
    if not (labelled["status"] == "ok").any():
        raise MriError(
            f"no image below {root} lies in a class folder ({first_reason(labelled)})",
            "give the folder that holds the class folders, or another --profile",
        )
    return Inventory(root, known, labelled, thumbnails)


def list_files(root: Path) -> list[Path]:
    """Every file below ``root``, sorted by path; links to folders are listed, not followed. Raises MriError if none."""
    if not root.is_dir():
        raise MriError(f"there is no folder {root}", "give the folder that holds the class folders")
    try:
        files = sorted(walk(root), key=lambda file: display_path(file, root))
    except OSError as error:
        raise MriError(
            f"cannot list {error.filename}: {error.strerror}", "mend its permissions and run again"
        ) from None
    if not files:
        raise MriError(f"{root} holds no files", "give the folder that holds the class folders")
    return files


def walk(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise error

    for folder, subfolders, names in os.walk(root, onerror=fail):
        links = [name for name in subfolders if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in [*names, *links])


def display_path(file: Path, root: Path) -> str:
    """POSIX path relative to ``root``; bytes that are not UTF-8 become ``\\xNN``."""
    return os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def read_entry(file: Path, root: Path, extensions: tuple[str, ...]) -> tuple[dict[str, object], np.ndarray | None]:
    """The row of one listed file and its thumbnail, None where it was rejected."""
    reading = Reading() if file.is_symlink() else read_image(file)
    reason = refusal(file, extensions) or reading.reason
    height, width, channels = (None, None, None) if reading.pixels is None else reading.pixels.shape
    row = {
        "path": display_path(file, root),
        "sha256": reading.sha256,
        "n_bytes": reading.n_bytes,
        "extension": PurePosixPath(display_path(file, root)).suffix,
        "format": reading.format,
        "height": height,
        "width": width,
        "channels": channels,
        "stored_channels": reading.stored_channels,
        "status": "rejected" if reason else "ok",
        "reason": reason,
    }
    return row, None if reason or reading.pixels is None else thumbnail(reading.pixels)


def refusal(file: Path, extensions: tuple[str, ...]) -> str | None:
    """Why a file is refused for its name or kind, whatever it holds."""
    if not is_utf8(file):
        return "file name is not UTF-8"
    if file.is_symlink():
        return "symbolic link"
    if file.suffix.lower() not in extensions:
        return f"unknown extension {file.suffix.lower()}" if file.suffix else "no extension"
    return None


def is_utf8(file: Path) -> bool:
    try:
        str(file).encode()
    except UnicodeEncodeError:
        return False
    return True


def label_rows(frame: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Add ``label``, ``tumor`` and ``contrast``: the nearest folder above the file that is a class of the profile.

    A readable image below no such folder is rejected, with the folder's name in the reason.
    """
    frame = frame.copy()
    names = [nearest_class(path, profile) for path in frame["path"]]
    labels = [parse_label(name) if name else None for name in names]
    frame["label"] = names
    frame["tumor"] = [label.tumor if label else None for label in labels]
    frame["contrast"] = [label.contrast if label else None for label in labels]
    stray = (frame["status"] == "ok") & frame["label"].isna()
    frame.loc[stray, "reason"] = [stray_reason(path, profile) for path in frame.loc[stray, "path"]]
    frame.loc[stray, "status"] = "rejected"
    return frame


def nearest_class(path: str, profile: Profile) -> str | None:
    return next((folder for folder in reversed(path.split("/")[:-1]) if folder in profile.classes), None)


def stray_reason(path: str, profile: Profile) -> str:
    folder = path.rpartition("/")[0]
    return f"folder {folder!r} is no class of profile {profile.name}" if folder else "not in a class folder"


def first_reason(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    return f"{first['path']}: {first['reason']}"
