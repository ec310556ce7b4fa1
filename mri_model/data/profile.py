"""Profiles: what a data set must look like. Classes with their counts, extensions, channels and size bounds."""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mri_model.data.class_folders import AUTO_NAMING, ClassFolder, ClassNaming, index_of, nearest, parts_of
from mri_model.data.formats import FORMATS, IMAGE_EXTENSIONS
from mri_model.data.labels import is_hidden, parse_label, split_of_folder
from mri_model.data.medical.choice import AXIAL_SLICES, SliceChoice
from mri_model.errors import MriError

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = Path(__file__).parent / "profiles"
MAX_SIDE = 1 << 16
AUTO = "auto"
"""The name of a profile learnt from the data set that is checked with it. A profile in a file has another name."""

ARRIVED = "arrived"
"""The name of the profile of labelled images that arrived after a training; its source is the model. SQL knows it."""

HEADER = """\
# What a data set must look like, for `mri ingest DATA --profile THIS_FILE`.
# Learnt from a data set as it was found. You may edit every value.
#   counts       "minimum": each class has at least its number of images; "exact": it has exactly that number
#   height       smallest and largest, in pixels; the same for width
#   classes      class = number of images; 0 if it may be missing
#   class_level  which folder is the class: 1 is directly below DATA, -1 holds the images; optional
#   class_map    class as found = class as it is to be called; optional
#   patient_level  which folder is the patient; optional, DICOM files say it themselves
#   slices       of DICOM and NIfTI volumes: axis "axial", "coronal" or "sagittal"; central: share of the head's extent
#                that slices are taken from; most: largest number of slices of a volume; optional
#   ignored      images that are no data, for example in no class folder; optional

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
        naming: How folders name their class.
        ignored: Paths of files that are rejected without breaking a rule.
        slices: Which slices of DICOM and NIfTI volumes become images.
        patient_level: Which folder is the patient, as in ``ClassNaming.level``; 0: none. DICOM says it itself.
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
    naming: ClassNaming = AUTO_NAMING
    ignored: tuple[str, ...] = ()
    slices: SliceChoice = AXIAL_SLICES
    patient_level: int = 0

    def class_of(self, path: str) -> str | None:
        """The class of a file, by the folders above it.

        Of the folders that are classes, it is the nearest one whose name has a contrast, else the nearest one.

        Args:
            path: POSIX path relative to the data root.

        Returns:
            The class, or None if no folder above is a class or one of them is hidden.
        """
        return self.class_in(folder_of(path))

    def class_in(self, folder: str) -> str | None:
        """``class_of`` the files in a folder: a POSIX path relative to the data root, empty for the root."""
        found = self.class_folder(folder)
        return found.name if found else None

    def class_folder(self, folder: str) -> ClassFolder | None:
        """The class of the files in a folder, and which folder names it."""
        return nearest([each for each in self.naming.candidates(folder) if each.name in self.classes])

    def given_split(self, folder: str) -> str | None:
        """The split that a folder belongs to as the data came: ``train``, ``val``, ``test`` or None.

        It is that of the outermost folder with such a name; the class folder itself does not count.
        """
        found = self.class_folder(folder)
        others = [name for depth, name in enumerate(folder.split("/"), 1) if not found or depth != found.depth]
        return next(filter(None, map(split_of_folder, others)), None)

    def patient_folder(self, folder: str) -> str | None:
        """The name of the folder at ``patient_level`` above the files in a folder; None if there is none."""
        folders = parts_of(folder)
        index = index_of(folders, self.patient_level)
        return folders[index] if self.patient_level and 0 <= index < len(folders) else None


def learn_profile(
    frame: "pd.DataFrame", unread_folders: Sequence[str] = (), naming: ClassNaming = AUTO_NAMING, name: str = AUTO
) -> Profile:
    """Learn the profile of a data set as it was found.

    Every folder that holds a file stands for a class, whatever the file is, and so do the ``unread_folders``. A class
    without an accepted image is required to have one, so that validation names it. Not so a folder that lies in a class
    folder or holds one, unless its own name has a contrast. If no image was accepted, any size and any extension is
    allowed.

    Args:
        frame: Inventory before labelling: one row per file with ``path`` (POSIX, relative), ``extension``, ``format``,
            ``height`` and ``width`` in pixels, and ``status``.
        unread_folders: POSIX paths, relative to the data root, of folders that are empty or links.
        naming: How folders name their class.
        name: Name of the profile.
    """
    visible = frame[~frame["path"].map(is_hidden).astype(bool)]
    accepted = visible["status"] == "ok"
    places = class_places(folders_of(visible["path"][accepted]), naming)
    without = class_places([*folders_of(visible["path"][~accepted]), *unread_folders], naming)
    classes = sorted({folder.name for folder in [*places.values(), *missing(without, places)]})
    profile = open_profile(name, dict.fromkeys(classes, 1), "learnt from the folder itself", naming)
    return with_figures(profile, visible.assign(label=np.array(by_folder(visible["path"], profile.class_in), object)))


def table_profile(frame: "pd.DataFrame", classes: Iterable[str]) -> Profile:
    """The profile of a data set whose classes a table names.

    Args:
        frame: As for ``learn_profile``, with ``label``.
        classes: Those that the table names; each must have an image.
    """
    found = frame.loc[frame["label"].notna(), "label"]
    profile = open_profile(AUTO, dict.fromkeys(sorted({*classes, *found}), 1), "learnt from a table", AUTO_NAMING)
    return with_figures(profile, frame)


def arrived_profile(model_id: str, classes: Iterable[str]) -> Profile:
    """The profile of labelled images for a trained model: any number of images of each of its classes."""
    return open_profile(ARRIVED, dict.fromkeys(classes, 0), f"model {model_id}", AUTO_NAMING)


def open_profile(name: str, classes: dict[str, int], source: str, naming: ClassNaming) -> Profile:
    """A profile of some classes that allows images of every size and format."""
    return Profile(
        name=name,
        counts="minimum",
        classes=classes,
        extensions=IMAGE_EXTENSIONS,
        channels=3,
        contrasts=tuple(sorted({label.contrast for label in map(parse_label, classes) if label.contrast})),
        height=(1, MAX_SIDE),
        width=(1, MAX_SIDE),
        source=source,
        naming=naming,
    )


def class_places(folders: Iterable[str], naming: ClassNaming) -> dict[str, ClassFolder]:
    """The class of each folder that has one."""
    return {folder: found for folder in folders if (found := naming.suggest(folder))}


def folder_of(path: str) -> str:
    """The folder that holds a file: a POSIX path relative to the data root, empty for the root."""
    return path.rpartition("/")[0]


def folders_of(paths: Iterable[str]) -> list[str]:
    """The folders that hold the files, each once."""
    return list(dict.fromkeys(map(folder_of, paths)))


def missing(without: dict[str, ClassFolder], places: dict[str, ClassFolder]) -> Iterator[ClassFolder]:
    """Classes of folders without an accepted image, but for those in a class folder or around one."""
    around = {above for place in places for above in parents(place)}
    for place, found in without.items():
        if found.is_certain or (place not in around and not any(above in places for above in parents(place))):
            yield found


def parents(place: str) -> Iterator[str]:
    """The folders above a POSIX path, nearest first."""
    while place := place.rpartition("/")[0]:
        yield place


def with_figures(profile: Profile, frame: "pd.DataFrame") -> Profile:
    """The profile with the counts and sizes of the accepted images in its classes, and the extensions of plain images.

    Args:
        profile: Its classes.
        frame: As for ``learn_profile``, with ``label``.
    """
    in_class = frame[frame["label"].notna()]
    accepted = in_class[in_class["status"] == "ok"]
    if accepted.empty:
        return profile
    extensions = set(in_class.loc[in_class["format"].isin(FORMATS), "extension"].str.lower())
    return replace(
        profile,
        classes={**profile.classes, **Counter(accepted["label"])},
        extensions=tuple(sorted(extensions.intersection(IMAGE_EXTENSIONS))) or IMAGE_EXTENSIONS,
        height=(int(accepted["height"].min()), int(accepted["height"].max())),
        width=(int(accepted["width"].min()), int(accepted["width"].max())),
    )


def by_folder(paths: Iterable[str], name: Callable[[str], str | None]) -> list[str | None]:
    """What ``name`` says about the folder of each file. Each folder is looked at once."""
    folders = list(map(folder_of, paths))
    names = {folder: name(folder) for folder in set(folders)}
    return [names[folder] for folder in folders]


def as_found(profile: Profile, frame: "pd.DataFrame", name: str) -> Profile:
    """A learnt profile under a name of its own, such that the data set it was learnt from follows it.

    Classes without an accepted image may be missing. Images that are in no class, or have an unknown extension, are
    ignored.

    Args:
        profile: Learnt from the data set.
        frame: The data set's inventory, with labels.
        name: Name of the profile; not ``auto``.
    """
    counts = frame.loc[frame["status"] == "ok", "label"].value_counts()
    stray = frame["height"].notna() & frame["label"].isna()
    unknown = frame["format"].isin(FORMATS) & ~frame["extension"].str.lower().isin(profile.extensions)
    ignored = [path for path in frame.loc[stray | unknown, "path"] if not is_hidden(path)]
    classes = {label: int(counts.get(label, 0)) for label in profile.classes}
    return replace(profile, name=name, classes=classes, ignored=tuple(ignored))


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
        **({"class_level": profile.naming.level} if profile.naming.level else {}),
        **({"patient_level": profile.patient_level} if profile.patient_level else {}),
        **({"ignored": list(profile.ignored)} if profile.ignored else {}),
        **({"slices": asdict(profile.slices)} if profile.slices != AXIAL_SLICES else {}),
        "classes": dict(sorted(profile.classes.items())),
        **({"class_map": dict(sorted(profile.naming.renamed.items()))} if profile.naming.renamed else {}),
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
        naming=ClassNaming(fields.class_level, dict(sorted(fields.class_map.items()))),
        ignored=tuple(fields.ignored),
        slices=SliceChoice(**fields.slices.model_dump()),
        patient_level=fields.patient_level,
    )


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
