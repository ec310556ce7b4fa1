"""The inventory of a folder: one row for every image, with its facts, label and rejection reason."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mri_model.data.ambiguity import check_places, check_renamed, check_spelling
from mri_model.data.class_folders import AUTO_NAMING, ClassNaming
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.label_table import LABELS_FILE, LabelTable, find_label_table
from mri_model.data.labels import is_split_folder, parse_label
from mri_model.data.listing import check_outside, unread_folders
from mri_model.data.medical.choice import AXIAL_SLICES
from mri_model.data.patients import optional_column
from mri_model.data.profile import (
    ARRIVED,
    AUTO,
    Profile,
    by_folder,
    folder_of,
    folders_of,
    learn_profile,
    load_profile,
    table_profile,
)
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.data.reading import read_files
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress

OR_NO_CLASS = ", or it names a class that the profile does not have"

WHERE_CLASSES = "give the folder that holds the class folders, or another --profile"

NO_CLASS = "not in a class folder"
"""Why an image is rejected that lies below no class folder."""


@dataclass(frozen=True)
class RuleResult:
    """Whether the data follows a rule of its profile.

    Attributes:
        rule: The rule as a sentence.
        offenders: All paths or classes that break it, sorted.
    """

    rule: str
    success: bool
    offenders: tuple[str, ...]


@dataclass(frozen=True)
class Validation:
    """The result of checking an inventory against its profile (``validation.validate``)."""

    success: bool
    profile: str
    n_files: int
    n_rejected: int
    rules: tuple[RuleResult, ...]

    @property
    def broken(self) -> list[RuleResult]:
        return [rule for rule in self.rules if not rule.success]


@dataclass(frozen=True)
class Inventory:
    """Every file below a folder.

    Attributes:
        root: The folder.
        profile: What the data set must look like.
        frame: One row per file, sorted by ``path``; the columns of ``manifest.SCHEMA`` up to ``reason``.
        fingerprints: One row per file, zeros for rejected files.
        validation: Result of ``validation.validate``; None before it has run.
        files: The paths on disk, if those in ``frame`` are keyed hashes (``hidden_paths``).
        hidden: What the hashes stand for, that of ``root`` among them.
    """

    root: Path
    profile: Profile
    frame: pd.DataFrame
    fingerprints: Fingerprints
    validation: Validation | None = None
    files: pd.Series | None = None
    hidden: Mapping[str, str] | None = None

    @property
    def named(self) -> pd.DataFrame:
        """``frame`` with the paths as they are on disk."""
        return self.frame if self.files is None else self.frame.assign(path=self.files)


def take_inventory(
    root: Path,
    profile: str = "auto",
    threads: int | None = None,
    progress: ProgressCallback = no_progress,
    cache: Path | None = None,
    naming: ClassNaming = AUTO_NAMING,
    pseudonyms: Pseudonyms | None = None,
    labels: Path | None = None,
) -> Inventory:
    """Read every file below ``root`` once and label its images by folder, or by a table.

    Args:
        root: Folder with the class folders.
        profile: ``auto`` (learnt from the folder), the name of a shipped profile, or the path of a TOML file.
        threads: Number of threads that read and decode; by default one per core.
        progress: Called with the stages ``survey`` (if there are DICOM or NIfTI files) and ``read``.
        cache: Folder of the facts cache; None for no cache. Only files that it does not know are decoded.
        naming: How folders name their class, in addition to what the profile says.
        pseudonyms: Replaces the identifiers in DICOM files; None: with a key that is kept nowhere.
        labels: A table of labels (``label_table``); None: ``labels.csv`` in the folder, if there is one.

    Raises:
        RefusedError: If only a person can say which folders are the classes, or how they are spelled.
        MriError: If the folder is missing or cannot be listed, if it has no accepted image, if the profile or the table
            cannot be read, or if the cache lies inside the folder.
    """
    if cache:
        check_outside(cache.parent, root)
    pseudonyms = pseudonyms or Pseudonyms()
    table = find_label_table(root, labels)
    known = None if profile == AUTO else with_naming(load_profile(profile), naming)
    extensions, choice = (known.extensions, known.slices) if known else (IMAGE_EXTENSIONS, AXIAL_SLICES)
    frame, fingerprints = read_files(root, extensions, threads, progress, cache, pseudonyms, choice)
    if not (frame["status"] == "ok").any():
        raise MriError(f"{root} has {len(frame)} files but no readable image", f"first: {first_reason(frame)}")
    if table:
        found = table.labels(frame, pseudonyms)
        frame = frame.assign(label=pd.Series(found.labels, frame.index, dtype=object))
        known = known or table_profile(frame, table.classes)
        check_spelling(known.classes)
    else:
        check_renamed(folders_of(frame["path"]), naming)
    known = known or learn_unambiguous(root, frame, naming)
    labelled = label_rows(frame, known, table)
    if table:
        labelled.loc[labelled["path"] == LABELS_FILE, "reason"] = found.reason
    if not (labelled["status"] == "ok").any():
        where = f"has a class in {table.file.name}" if table else "lies in a class folder"
        raise MriError(
            f"no image below {root} {where} ({first_reason(labelled)})",
            f"complete {table.file.name}" if table else WHERE_CLASSES,
        )
    return Inventory(root, known, labelled, fingerprints)


def with_naming(profile: Profile, naming: ClassNaming) -> Profile:
    """A profile with what ``naming`` says added to it."""
    renamed = {**profile.naming.renamed, **naming.renamed}
    return replace(profile, naming=ClassNaming(naming.level or profile.naming.level, renamed))


def learn_unambiguous(root: Path, frame: pd.DataFrame, naming: ClassNaming) -> Profile:
    """The profile of a folder as it is. Raises RefusedError if its classes are ambiguous (``ambiguity``)."""
    check_places(folders_of(frame.loc[frame["status"] == "ok", "path"]), naming)
    profile = learn_profile(frame, unread_folders(root), naming)
    check_spelling(profile.classes)
    return profile


def label_rows(frame: pd.DataFrame, profile: Profile, table: LabelTable | None = None) -> pd.DataFrame:
    """Add ``label``, ``tumor``, ``contrast`` and ``split_given`` by the folders above each file; complete ``patient``.

    ``patient_folder``, which is not kept, links images of all formats that lie in one patient's folder.

    Files that the profile ignores, and accepted images without a class, become rejected.

    Args:
        table: Has named the classes, in the column ``label``.
    """
    names = class_names(frame, profile, table)
    labels = [parse_label(name) if name else None for name in names]
    columns = {
        "label": names,
        "tumor": [label.tumor if label else None for label in labels],
        "contrast": [label.contrast if label else None for label in labels],
        "patient": patients(frame, profile),
        "patient_folder": by_folder(frame["path"], profile.naming.patient),
        "split_given": by_folder(frame["path"], profile.given_split),
    }
    frame = frame.assign(**{name: pd.Series(values, frame.index, dtype=object) for name, values in columns.items()})
    accepted = frame["status"] == "ok"
    ignored = accepted & frame["path"].isin(profile.ignored)
    stray = accepted & ~ignored & frame["label"].isna()
    frame.loc[ignored, "reason"] = f"{profile.name} ignores it"
    frame.loc[stray, "reason"] = [stray_reason(path, profile, table) for path in frame.loc[stray, "path"]]
    frame.loc[ignored | stray, "status"] = "rejected"
    return frame


def class_names(frame: pd.DataFrame, profile: Profile, table: LabelTable | None) -> list[str | None]:
    """The class of each row, by its folders, or by the column ``label`` that a table of labels has filled."""
    if table is None:
        return by_folder(frame["path"], profile.class_in)
    return [name if name in profile.classes else None for name in frame["label"]]


def patients(frame: pd.DataFrame, profile: Profile) -> list[str | None]:
    """The patient of each row: as DICOM says, else the folder that the profile names, a BIDS subject, or a folder."""
    named = by_folder(frame["path"], profile.patient_folder)
    below = by_folder(frame["path"], profile.naming.patient)
    known = optional_column(frame, "patient")  # null is None there, not NaN, which counts as true
    of_dicom = frame["format"] == "DICOM"
    return [
        next(filter(None, (own, folder, class_folder) if dicom else (folder, own, class_folder)), None)
        for own, folder, class_folder, dicom in zip(known, named, below, of_dicom, strict=True)
    ]


def stray_reason(path: str, profile: Profile, table: LabelTable | None = None) -> str:
    """The reason to reject an image without a class."""
    if table:
        return f"no line of {table.file.name} is about it" + ("" if profile.name == AUTO else OR_NO_CLASS)
    folder = folder_of(path)
    if folder and profile.name != AUTO:
        owner = profile.source if profile.name == ARRIVED else profile.name
        return f"folder {folder!r} is no class of {owner}"
    if folder and is_split_folder(folder.rpartition("/")[2]):
        return f"{NO_CLASS}: {folder!r} has the name of a split"
    return NO_CLASS


def first_reason(frame: pd.DataFrame) -> str:
    """Path and rejection reason of the first row, as an example for a message."""
    first = frame.iloc[0]
    return f"{first['path']}: {first['reason']}"
