"""Profiles: what a data set must look like. Classes with their counts, extensions, channels and size bounds."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.labels import class_folder, is_hidden, nearest_contrast, parse_label
from mri_model.errors import MriError

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = Path(__file__).parent / "profiles"
MAX_SIDE = 1 << 16
LINK = "symbolic link"
"""Why a link is rejected."""

AUTO = "auto"
"""The name of a profile learnt from the data set that is checked with it. A profile in a file has another name."""

HEADER = """\
# What a data set must look like, for `mri ingest DATA --profile THIS_FILE`.
# Learnt from a data set as it was found. You may edit every value.
#   counts    "minimum": each class has at least its number of images; "exact": it has exactly that number
#   height    smallest and largest, in pixels; the same for width
#   classes   class folder = number of images

"""


@dataclass(frozen=True)
class Profile:
    """What a data set must look like.

    Attributes:
        name: Name of the profile; ``auto`` if it was learnt from the data set itself.
        counts: Whether the numbers in ``classes`` are exact (a published set) or minimums.
        classes: Number of images by the name of the class folder.
        extensions: Extensions of image files, in lower case with their dot. Files are compared ignoring case.
        channels: Channels of an image as decoded.
        contrasts: Contrasts that a class may have.
        height: Smallest and largest height in pixels, as decoded, both allowed.
        width: Smallest and largest width in pixels, as decoded, both allowed.
        source: Where the data set comes from.
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

    def class_of(self, path: str) -> str | None:
        """The class of a file, by the folders above it.

        Of the folders that are classes, it is the nearest one whose name has a contrast, else the nearest one.

        Args:
            path: POSIX path relative to the data root.

        Returns:
            The class, or None if no folder above is a class or one of them is hidden.
        """
        above = path.rpartition("/")[0]
        known = [folder for folder in above.split("/") if folder in self.classes]
        if not known or is_hidden(above):
            return None
        return nearest_contrast(known) or known[-1]


def learn_profile(frame: "pd.DataFrame", empty_folders: Sequence[str] = (), name: str = AUTO) -> Profile:
    """Learn the profile of a data set as it was found.

    A class is a folder that holds a file with an image extension (readable or not), an empty folder, or a folder or
    link whose name has a contrast. A class without an accepted image is required to have one, so that validation names
    it. If no image was accepted, any size and any extension is allowed.

    Args:
        frame: Inventory before labelling: one row per file with ``path`` (POSIX, relative), ``extension``, ``height``
            and ``width`` in pixels, ``status`` and ``reason``.
        empty_folders: POSIX paths relative to the data root.
        name: Name of the profile.
    """
    named_as_images = frame.loc[frame["extension"].str.lower().isin(IMAGE_EXTENSIONS), "path"]
    places = [*named_as_images, *(f"{folder}/image" for folder in empty_folders)]
    links = frame.loc[frame["reason"] == LINK, "path"]
    found = map(class_folder, [*frame["path"], *(f"{link}/image" for link in links)])
    with_contrast = [folder for folder in found if folder and parse_label(folder).contrast]
    classes = sorted({folder for folder in [*map(class_folder, places), *with_contrast] if folder})
    profile = Profile(
        name=name,
        counts="minimum",
        classes=dict.fromkeys(classes, 1),
        extensions=IMAGE_EXTENSIONS,
        channels=3,
        contrasts=tuple(sorted({label.contrast for label in map(parse_label, classes) if label.contrast})),
        height=(1, MAX_SIDE),
        width=(1, MAX_SIDE),
        source="learnt from the folder itself",
    )
    return with_figures(profile, frame[frame["status"] == "ok"])


def with_figures(profile: Profile, accepted: "pd.DataFrame") -> Profile:
    """The profile with the counts, sizes and extensions of the accepted images in its classes."""
    labels = accepted["path"].map(profile.class_of)
    images = accepted[labels.notna()]
    if images.empty:
        return profile
    return replace(
        profile,
        classes={**profile.classes, **Counter(labels.dropna())},
        extensions=tuple(sorted(set(images["extension"].str.lower()))),
        height=(int(images["height"].min()), int(images["height"].max())),
        width=(int(images["width"].min()), int(images["width"].max())),
    )


def profile_toml(profile: Profile) -> str:
    """The profile as the text of a TOML file that ``load_profile`` can read.

    A profile named ``auto`` is written as ``learnt``: once in a file, it can be used to check other data sets.
    """
    import tomli_w

    fields: dict[str, Any] = {
        "name": "learnt" if profile.name == AUTO else profile.name,
        "source": profile.source,
        "counts": profile.counts,
        "channels": profile.channels,
        "contrasts": list(profile.contrasts),
        "extensions": list(profile.extensions),
        "height": list(profile.height),
        "width": list(profile.width),
        "classes": dict(sorted(profile.classes.items())),
    }
    return HEADER + tomli_w.dumps(fields)


def load_profile(name: str) -> Profile:
    """Read a profile.

    Args:
        name: The name of a shipped profile, or the path of a TOML file.

    Raises:
        MriError: There is no such profile, or the file is not a profile. Then the message names the file and the field.
    """
    shipped = {file.stem: file for file in SHIPPED.glob("*.toml")}
    file = shipped.get(name, Path(name))
    if not is_file(file):
        names = ", ".join(sorted(shipped))
        raise MriError(f"there is no profile {name!r}", f"use auto, one of {names}, or the path of a .toml file")
    try:
        return parse_profile(file.read_text(encoding="utf-8-sig"))
    except RecursionError:
        reason = "nested too deeply"
    except (ValueError, OSError) as error:  # also what tomllib and the decoding of UTF-8 raise
        reason = " ".join(str(error).split())
    raise MriError(f"{file} is not a profile: {reason}", f"compare it with {SHIPPED / 'phantom.toml'}")


def parse_profile(text: str) -> Profile:
    """The profile in the text of a TOML file. Raises ValueError, in one line, if it is none."""
    from mri_model.data.profile_file import parse_fields  # training runs without pydantic

    fields = parse_fields(tomllib.loads(text))
    if fields.name == AUTO:
        raise ValueError(f"name must be another than {AUTO!r}, the name of a profile learnt from the data set itself")
    return Profile(
        name=fields.name,
        counts=fields.counts,
        classes=dict(sorted(fields.classes.items())),
        extensions=tuple(extension.lower() for extension in fields.extensions),
        channels=fields.channels,
        contrasts=tuple(fields.contrasts),
        height=(fields.height[0], fields.height[1]),
        width=(fields.width[0], fields.width[1]),
        source=fields.source,
    )


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
