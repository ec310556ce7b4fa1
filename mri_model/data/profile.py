"""What a data set must look like: classes with their counts, extensions, channels, size bounds."""

import reprlib
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
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
MAX_NUMBER = (1 << 31) - 1
LINK = "symbolic link"
"""The reason for which links are rejected."""

AUTO = "auto"
"""The name of a profile learnt from the very folder that it then judges; a profile in a file has another."""

HEADER = """\
# What a data set must look like, for `mri ingest DATA --profile THIS_FILE`.
# Learnt from a folder as it was found; every figure may be edited.
#   counts    "minimum": at least so many images a class; "exact": neither more nor fewer
#   height    least and greatest, in pixels; width alike
#   classes   class folder = number of images

"""


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

    def class_of(self, path: str) -> str | None:
        """The class of a file by its place: of the folders above it that are classes, the nearest that carries a
        contrast, else the nearest. None where there is none, or a folder above it is hidden.

        ``path`` is POSIX and relative to the data root.
        """
        above = path.rpartition("/")[0]
        known = [folder for folder in above.split("/") if folder in self.classes]
        if not known or is_hidden(above):
            return None
        return nearest_contrast(known) or known[-1]


def learn_profile(frame: "pd.DataFrame", empty_folders: Sequence[str] = (), name: str = AUTO) -> Profile:
    """A profile of a data set as it was found.

    ``frame`` is an inventory before labelling: one row a file with ``path`` (POSIX, relative), ``extension``,
    ``height`` and ``width`` in pixels, ``status`` and ``reason``. A class is a folder with a file named like an image,
    readable or not, one of ``empty_folders`` (POSIX, relative), or any whose name carries a contrast, a link among
    them: a class whose images are all broken, missing or of another kind is held to one image, so that validation
    names it. Without any image, sizes and extensions are left open.
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
    """The profile with the counts, sizes and extensions of the accepted images that lie in its classes."""
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
    """The profile as the text of a TOML file that ``load_profile`` reads back.

    A profile named ``auto`` is written as ``learnt``: read from a file, it judges other folders than its own.
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
    """Read a shipped profile by name, or any profile by the path of its TOML file.

    Raises MriError where there is none, or where the file is not one: then it names the file and the field.
    """
    shipped = {file.stem: file for file in SHIPPED.glob("*.toml")}
    file = shipped.get(name, Path(name))
    if not is_file(file):
        names = ", ".join(sorted(shipped))
        raise MriError(f"there is no profile {name!r}", f"use auto, one of {names}, or the path of a .toml file")
    try:
        return check_fields(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except RecursionError:
        reason = "nested too deeply"
    except (ValueError, OSError) as error:  # also what tomllib and the decoding of UTF-8 raise
        reason = " ".join(str(error).split())
    raise MriError(f"{file} is not a profile: {reason}", f"compare it with {SHIPPED / 'phantom.toml'}")


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def check_fields(fields: dict[str, Any]) -> Profile:
    """The profile that a TOML file's fields make; ValueError, beginning with the field's name, where one is wrong."""
    name = take(fields, "name", is_text, "a text")
    if name == AUTO:
        raise ValueError(f"name: {AUTO!r} is taken by the profile that is learnt anew each time")
    classes = take(fields, "classes", lambda table: isinstance(table, dict) and table, "a table with a class or more")
    for label in classes:
        take(classes, label, is_number, f"a whole number from 0 to {MAX_NUMBER}", f"classes.{reprlib.repr(label)}")
    extensions = take(fields, "extensions", is_extensions, 'a list like [".jpg", ".png"]')
    height, width = (take(fields, side, is_bounds, "two pixels, least and greatest") for side in ("height", "width"))
    return Profile(
        name=name,
        counts=take(fields, "counts", lambda counts: counts in ("exact", "minimum"), '"exact" or "minimum"'),
        classes=dict(sorted(classes.items())),
        extensions=tuple(extension.lower() for extension in extensions),
        channels=take(fields, "channels", lambda channels: is_number(channels) and channels == 3, "3"),
        contrasts=tuple(take(fields, "contrasts", is_texts, 'a list like ["T1", "T2"], or []')),
        height=tuple(height),
        width=tuple(width),
        source=take({"source": "", **fields}, "source", lambda source: isinstance(source, str), "a text"),
    )


def take(fields: dict[str, Any], field: str, fits: Callable[[Any], Any], wanted: str, called: str = "") -> Any:
    """A field's value; ValueError where it is missing or does not fit."""
    called = called or field
    if field not in fields:
        raise ValueError(f"{called} is missing; it must be {wanted}")
    if not fits(fields[field]):
        raise ValueError(f"{called} must be {wanted}, not {reprlib.repr(fields[field])[:80]}")
    return fields[field]


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_extensions(value: Any) -> bool:
    return is_texts(value) and bool(value) and all(text.startswith(".") for text in value)


def is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_NUMBER


def is_bounds(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] <= value[1]
