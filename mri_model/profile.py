"""What a data set must look like: classes with their counts, extensions, channels, size bounds."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mri_model.errors import MriError
from mri_model.labels import parse_label

SHIPPED = Path(__file__).parent / "profiles"
IMAGE_EXTENSIONS = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MAX_SIDE = 1 << 16


@dataclass(frozen=True)
class Profile:
    """The figures a data set is held to.

    ``classes`` maps a class folder's name to its number of images: the exact number for a published set,
    the least for others (``counts``). ``height`` and ``width`` are inclusive bounds in pixels, as decoded.
    ``extensions`` are lower case with their dot; files are compared without regard to case.
    """

    name: str
    counts: Literal["exact", "minimum"]
    classes: dict[str, int]
    extensions: tuple[str, ...]
    channels: int
    contrasts: tuple[str, ...]
    height: tuple[int, int]
    width: tuple[int, int]
    source: str = ""


def load_profile(name: str) -> Profile:
    """Read a shipped profile by name, or any profile by the path of its TOML file.

    Raises MriError where there is none or the file is not one.
    """
    shipped = {file.stem: file for file in SHIPPED.glob("*.toml")}
    file = shipped.get(name, Path(name))
    if not file.is_file():
        names = ", ".join(sorted(shipped))
        raise MriError(f"there is no profile {name!r}", f"use auto, one of {names}, or the path of a .toml file")
    try:
        fields = tomllib.loads(file.read_text(encoding="utf-8"))
        return Profile(
            name=fields["name"],
            counts=fields["counts"],
            classes=dict(sorted(fields["classes"].items())),
            extensions=tuple(fields["extensions"]),
            channels=fields["channels"],
            contrasts=tuple(fields["contrasts"]),
            height=tuple(fields["height"]),
            width=tuple(fields["width"]),
            source=fields.get("source", ""),
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise MriError(f"{file} is not a profile: {error!r}", f"compare it with {SHIPPED / 'phantom.toml'}") from None


def learn_profile(folders: Iterable[str]) -> Profile:
    """A profile from nothing but the names of the folders that hold readable images.

    Counts and sizes are left open: a folder cannot be held to figures it has itself supplied.
    """
    classes = sorted(set(folders))
    contrasts = {parse_label(folder).contrast for folder in classes}
    return Profile(
        name="auto",
        counts="minimum",
        classes=dict.fromkeys(classes, 1),
        extensions=IMAGE_EXTENSIONS,
        channels=3,
        contrasts=tuple(sorted(contrast for contrast in contrasts if contrast)),
        height=(1, MAX_SIDE),
        width=(1, MAX_SIDE),
        source="learnt from the folder itself",
    )
