"""The inventory of a folder: one row for every image, with its facts, label and rejection reason.

A file is one image, or none; only DICOM and NIfTI files may hold several, each with a row.
"""

import posixpath
import zlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from mri_model.data.ambiguity import check_places, check_renamed, check_spelling
from mri_model.data.cache import ImageFacts, ImageFactsCache
from mri_model.data.class_folders import AUTO_NAMING, ClassNaming
from mri_model.data.convertible import KINDS
from mri_model.data.decode import Content, DecodedImage, decode, load_content, to_grey
from mri_model.data.fingerprints import Fingerprints, describe
from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.hidden_paths import HiddenPaths, extension_of, hash_of
from mri_model.data.label_table import IS_LABELS, LABELS_FILE, LabelTable, find_label_table
from mri_model.data.labels import is_split_folder, parse_label
from mri_model.data.listing import FoundFile, check_outside, list_files, refusal, unread_folders
from mri_model.data.medical.choice import AXIAL_SLICES, SliceChoice
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.slices import split_slice, with_slice
from mri_model.data.medical.survey import Picture, SurveyedFile, survey
from mri_model.data.parallel import chunks, ordered_map
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
from mri_model.data.pseudonyms import PSEUDONYM, Pseudonyms
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress, with_progress

CHANNELS = 3
"""Number of channels that every accepted image decodes to, for training and for scoring."""

WHERE_CLASSES = "give the folder that holds the class folders, or another --profile"

NO_CLASS = "not in a class folder"
"""Why an image is rejected that lies below no class folder."""

UNKNOWN_EXTENSION = "unknown extension"

MEDICAL_EXTENSIONS = {
    ".dcm": "not a DICOM file, or its header is corrupt",
    ".nii": "not a NIfTI volume, or its header is corrupt",
}
"""Why a file of such a name is rejected that is not recognized as one."""

CHANGED = "it changed while the folder was read"

EXAMINATION = (
    "series",
    "patient",
    "window",
    "window_low",
    "window_high",
    "contrast_hint",
    "burned_in",
    "patient_number",
)
"""Columns that only DICOM and NIfTI fill. ``patient_number`` is for the table of labels, and is not kept."""

LOOKUP_ROWS = 256
"""Number of files for each query to the cache."""


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


@dataclass(frozen=True)
class Entry:
    """One image that was read.

    Attributes:
        found: The listed file.
        sha256: Of its bytes; empty if they could not be read.
        n_bytes: Its size.
        facts: What decoding showed; None if that is cached.
        picture: Which picture of a DICOM or NIfTI file it is; None for a plain image.
    """

    found: FoundFile
    sha256: str
    n_bytes: int
    facts: ImageFacts | None
    picture: Picture | None = None

    @property
    def key(self) -> str:
        """Identifies the facts in the cache; empty if there is nothing to keep."""
        return key_of(self.sha256, self.picture)

    @property
    def path(self) -> str:
        return self.picture.path if self.picture else self.found.path


def key_of(sha256: str, picture: Picture | None) -> str:
    return sha256 + picture.slice.key if sha256 and picture else sha256


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
        frame = frame.assign(label=pd.Series(table.labels(frame, pseudonyms), frame.index, dtype=object))
        known = known or table_profile(frame, table.classes)
    else:
        check_renamed(folders_of(frame["path"]), naming)
    known = known or learn_unambiguous(root, frame, naming)
    labelled = label_rows(frame, known, table)
    if not (labelled["status"] == "ok").any():
        where = f"has a class in {table.file.name}" if table else "lies in a class folder"
        raise MriError(
            f"no image below {root} {where} ({first_reason(labelled)})",
            f"complete {table.file.name}" if table else WHERE_CLASSES,
        )
    return Inventory(root, known, labelled, fingerprints)


def hide_paths(inventory: Inventory, hidden: HiddenPaths) -> Inventory:
    """The inventory with keyed hashes in place of paths, also in reasons and in the profile."""
    frame, profile = inventory.frame, inventory.profile
    of_slice = frame["series"].notna()
    parts = [split_slice(path) if sliced else (path, "") for path, sliced in zip(frame["path"], of_slice, strict=True)]
    real = [str(inventory.root.resolve()), *profile.ignored, *(file for file, _ in parts)]
    hashes = hidden.hide(dict.fromkeys(real))
    paths = pd.Series([with_slice(hashes[file], part) for file, part in parts], frame.index, dtype=object)
    ignored = tuple(hashes[path] for path in profile.ignored)
    reasons = frame["reason"].map(without_names, "ignore")
    return replace(
        inventory,
        frame=frame.assign(
            path=paths,
            extension=frame["path"].map(lambda path: extension_of(split_slice(path)[0])),
            reason=reasons,
            patient=hide_patients(frame, hidden),
        ),
        profile=replace(profile, ignored=ignored),
        files=frame["path"],
        hidden={hash_of(name): path for path, name in hashes.items()},
    )


def without_names(reason: str) -> str:
    """A rejection reason without the name of a folder or an extension, which may be a part of a name."""
    if " is no class of " in reason:
        return NO_CLASS
    return next((kind for kind in (NO_CLASS, UNKNOWN_EXTENSION) if reason.startswith(kind)), reason)


def hide_patients(frame: pd.DataFrame, hidden: HiddenPaths) -> pd.Series:
    """The column ``patient`` without names from paths; those from DICOM headers are keyed hashes already."""
    is_hash = (frame["format"] == "DICOM") & frame["patient"].astype(str).str.fullmatch(PSEUDONYM)
    return frame["patient"].where(is_hash | frame["patient"].isna(), frame["patient"].map(hidden.person, "ignore"))


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


def read_files(
    root: Path,
    extensions: tuple[str, ...],
    threads: int | None,
    progress: ProgressCallback,
    cache: Path | None,
    pseudonyms: Pseudonyms,
    choice: SliceChoice,
) -> tuple[pd.DataFrame, Fingerprints]:
    """One row for every image below ``root``, without labels, and the fingerprints."""
    files = list_files(root)
    surveyed = survey(files, pseudonyms, choice, threads, progress, cache)
    n_rows = sum(len(surveyed[found.path].pictures) if found.path in surveyed else 1 for found in files)
    rows: list[dict[str, object]] = []
    fingerprints = Fingerprints.zeros(n_rows)
    with ImageFactsCache(cache) as known_facts:
        known = known_facts.known
        read = ordered_map(lambda found: read_entries(found, surveyed.get(found.path), known), files, threads)
        entries = with_progress(chain.from_iterable(read), n_rows, "read", progress)
        for chunk in chunks(entries, LOOKUP_ROWS):
            for entry, facts in with_facts(chunk, known_facts):
                row = as_row(entry, facts, extensions)
                if row["status"] == "ok":
                    fingerprints.thumbnails[len(rows)] = facts.thumbnail
                    fingerprints.descriptors[len(rows)] = facts.descriptor
                rows.append(row)
    return pd.DataFrame(rows), fingerprints


def read_entries(found: FoundFile, surveyed: SurveyedFile | None, known: Set[str]) -> list[Entry]:
    """Read one listed file, and decode those of its images that are not among ``known``."""
    if surveyed:
        return read_pictures(found, surveyed, known)
    content = Content() if found.is_link else load_content(found.file)
    facts = None if content.sha256 in known else facts_of(decode(content, grey=True))
    return [Entry(found, content.sha256, content.n_bytes, facts)]


def read_pictures(found: FoundFile, surveyed: SurveyedFile, known: Set[str]) -> list[Entry]:
    """The pictures of a DICOM or NIfTI file; those that the survey has rejected are not read again."""
    wanted = [each for each in surveyed.pictures if not each.reason]
    unknown = [each for each in wanted if key_of(surveyed.sha256, each) not in known]
    facts = {each.path: rejected_facts(surveyed.kind, str(each.reason)) for each in surveyed.pictures if each.reason}
    if unknown:
        content = load_content(found.file)
        images = decode_slices(content, [each.slice for each in unknown])
        if content.sha256 != surveyed.sha256:
            images = [DecodedImage(format=surveyed.kind, reason=content.reason or CHANGED)] * len(unknown)
        facts |= {each.path: facts_of(image) for each, image in zip(unknown, images, strict=True)}
    return [Entry(found, surveyed.sha256, surveyed.n_bytes, facts.get(each.path), each) for each in surveyed.pictures]


def with_facts(entries: list[Entry], cache: ImageFactsCache) -> Iterator[tuple[Entry, ImageFacts]]:
    """Each entry with its facts, which come from the cache or are added to it."""
    cached = cache.get(entry.key for entry in entries if not entry.facts)
    cache.put((entry.key, entry.facts) for entry in entries if entry.facts and is_kept(entry))
    for entry in entries:
        yield entry, entry.facts or cached.get(entry.key) or facts_again(entry)


def is_kept(entry: Entry) -> bool:
    """Whether the facts follow from the file's bytes alone: a survey decides by other files too."""
    return bool(entry.sha256) and not (entry.picture and entry.facts and entry.facts.reason)


def facts_again(entry: Entry) -> ImageFacts:
    """The facts of an image that were in the cache and cannot be read from it."""
    content = load_content(entry.found.file)
    return facts_of(decode_slices(content, [entry.picture.slice])[0] if entry.picture else decode(content, grey=True))


def as_row(entry: Entry, facts: ImageFacts, extensions: tuple[str, ...]) -> dict[str, object]:
    """The row of one image, without label. ``extensions`` are lower case with their dot."""
    found, picture = entry.found, entry.picture
    convertible = facts.reason if facts.reason in KINDS.values() else None
    misnamed = None if picture else unknown_extension(found.path, extensions)
    reason = refusal(found) or convertible or misnamed or facts.reason
    return {
        "path": entry.path,
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
        **examination(picture),
    }


def examination(picture: Picture | None) -> dict[str, object]:
    """The columns that only DICOM and NIfTI fill."""
    if picture is None:
        return dict.fromkeys(EXAMINATION)
    source, (low, high) = picture.source, picture.limits or (None, None)
    return {
        "series": source.series,
        "patient": source.patient,
        "window": picture.shown,
        "window_low": low,
        "window_high": high,
        "contrast_hint": source.contrast_hint,
        "burned_in": source.burned_in,
        "patient_number": source.patient_number,
    }


def rejected_facts(kind: str, reason: str) -> ImageFacts:
    return ImageFacts(kind, None, None, None, None, None, reason, None, None)


def facts_of(image: DecodedImage) -> ImageFacts:
    """Measure a decoded image, in grey or in colour."""
    if image.pixels is None:
        return ImageFacts(image.format, None, None, None, image.stored_channels, None, image.reason, None, None)
    plane = np.ascontiguousarray(image.pixels if image.pixels.ndim == 2 else to_grey(image.pixels))
    height, width = plane.shape
    sums, thumbnail, edges = describe(plane)
    crc = f"{zlib.crc32(sums.astype('<i8').tobytes()):08x}"
    return ImageFacts(image.format, height, width, CHANNELS, image.stored_channels, crc, None, thumbnail, edges)


def unknown_extension(path: str, extensions: tuple[str, ...]) -> str | None:
    """The reason to reject a file because of its extension; None if the extension is one of ``extensions``."""
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in extensions:
        return None
    if suffix in MEDICAL_EXTENSIONS:
        return MEDICAL_EXTENSIONS[suffix]
    return f"{UNKNOWN_EXTENSION} {suffix}" if suffix else "no extension"


def label_rows(frame: pd.DataFrame, profile: Profile, table: LabelTable | None = None) -> pd.DataFrame:
    """Add ``label``, ``tumor``, ``contrast`` and ``split_given`` by the folders above each file; complete ``patient``.

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
        "split_given": by_folder(frame["path"], profile.given_split),
    }
    frame = frame.assign(**{name: pd.Series(values, frame.index, dtype=object) for name, values in columns.items()})
    accepted = frame["status"] == "ok"
    ignored = accepted & frame["path"].isin(profile.ignored)
    stray = accepted & ~ignored & frame["label"].isna()
    frame.loc[ignored, "reason"] = f"{profile.name} ignores it"
    frame.loc[stray, "reason"] = [stray_reason(path, profile, table) for path in frame.loc[stray, "path"]]
    frame.loc[ignored | stray, "status"] = "rejected"
    if table:
        frame.loc[frame["path"] == LABELS_FILE, "reason"] = IS_LABELS
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
    known = frame["patient"].where(frame["patient"].notna(), None)
    of_dicom = frame["format"] == "DICOM"
    return [
        next(filter(None, (own, folder, class_folder) if dicom else (folder, own, class_folder)), None)
        for own, folder, class_folder, dicom in zip(known, named, below, of_dicom, strict=True)
    ]


def stray_reason(path: str, profile: Profile, table: LabelTable | None = None) -> str:
    """The reason to reject an image without a class."""
    if table:
        return f"{table.file.name} names no class for it that {profile.name} has"
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
