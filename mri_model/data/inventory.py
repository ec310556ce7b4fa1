"""The inventory of a folder: one row for every file, with its facts, label and rejection reason."""

import posixpath
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mri_model.data.ambiguity import check_places, check_renamed, check_spelling
from mri_model.data.cache import ImageFacts, ImageFactsCache
from mri_model.data.class_folders import AUTO_NAMING, ClassNaming
from mri_model.data.convertible import KINDS
from mri_model.data.decode import Content, decode, load_content
from mri_model.data.fingerprints import Fingerprints, describe
from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.labels import is_split_folder, parse_label
from mri_model.data.listing import FoundFile, check_outside, list_files, refusal, unread_folders
from mri_model.data.parallel import chunks, ordered_map
from mri_model.data.profile import ARRIVED, AUTO, Profile, by_folder, folder_of, folders_of, learn_profile, load_profile
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress, with_progress

CHANNELS = 3
"""Number of channels that every accepted image decodes to, for training and for scoring."""

NO_CLASS = "not in a class folder"
"""Why an image is rejected that lies below no class folder."""

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
    """

    root: Path
    profile: Profile
    frame: pd.DataFrame
    fingerprints: Fingerprints
    validation: Validation | None = None


@dataclass(frozen=True)
class Entry:
    """One file that was read.

    Attributes:
        found: The listed file.
        sha256: Of its bytes; empty if they could not be read.
        n_bytes: Its size.
        facts: What decoding showed; None if that is cached.
    """

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
    naming: ClassNaming = AUTO_NAMING,
) -> Inventory:
    """Read every file below ``root`` once and label it by its folder.

    Args:
        root: Folder with the class folders.
        profile: ``auto`` (learnt from the folder), the name of a shipped profile, or the path of a TOML file.
        threads: Number of threads that read and decode; by default one per core.
        progress: Called with the stage ``read``.
        cache: Folder of the facts cache; None for no cache. Only files that it does not know are decoded.
        naming: How folders name their class, in addition to what the profile says.

    Raises:
        RefusedError: If only a person can say which folders are the classes, or how they are spelled.
        MriError: If the folder is missing or cannot be listed, if it has no accepted image, if the profile cannot be
            read, or if the cache lies inside the folder.
    """
    if cache:
        check_outside(cache.parent, root)
    known = None if profile == AUTO else with_naming(load_profile(profile), naming)
    frame, fingerprints = read_files(root, known.extensions if known else IMAGE_EXTENSIONS, threads, progress, cache)
    if not (frame["status"] == "ok").any():
        raise MriError(f"{root} has {len(frame)} files but no readable image", f"first: {first_reason(frame)}")
    check_renamed(folders_of(frame["path"]), naming)
    known = known or learn_unambiguous(root, frame, naming)
    labelled = label_rows(frame, known)
    if not (labelled["status"] == "ok").any():
        raise MriError(
            f"no image below {root} lies in a class folder ({first_reason(labelled)})",
            "give the folder that holds the class folders, or another --profile",
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


def read_files(
    root: Path, extensions: tuple[str, ...], threads: int | None, progress: ProgressCallback, cache: Path | None
) -> tuple[pd.DataFrame, Fingerprints]:
    """One row for every file below ``root``, without labels, and the fingerprints."""
    files = list_files(root)
    rows: list[dict[str, object]] = []
    fingerprints = Fingerprints.zeros(len(files))
    with ImageFactsCache(cache) as known_facts:
        entries = ordered_map(lambda found: read_entry(found, known_facts.known), files, threads)
        for chunk in chunks(with_progress(entries, len(files), "read", progress), LOOKUP_ROWS):
            for entry, facts in with_facts(chunk, known_facts):
                row = as_row(entry, facts, extensions)
                if row["status"] == "ok":
                    fingerprints.thumbnails[len(rows)] = facts.thumbnail
                    fingerprints.descriptors[len(rows)] = facts.descriptor
                rows.append(row)
    return pd.DataFrame(rows), fingerprints


def read_entry(found: FoundFile, known: Set[str]) -> Entry:
    """Read one listed file, and decode it if its SHA-256 is not among ``known``."""
    content = Content() if found.is_link else load_content(found.file)
    if content.sha256 in known:
        return Entry(found, content.sha256, content.n_bytes, None)
    return Entry(found, content.sha256, content.n_bytes, facts_of(content))


def with_facts(entries: list[Entry], cache: ImageFactsCache) -> Iterator[tuple[Entry, ImageFacts]]:
    """Each entry with its facts, which come from the cache or are added to it."""
    cached = cache.get(entry.sha256 for entry in entries if not entry.facts)
    cache.put((entry.sha256, entry.facts) for entry in entries if entry.facts and entry.sha256)
    for entry in entries:
        yield entry, entry.facts or cached.get(entry.sha256) or facts_of(load_content(entry.found.file))


def as_row(entry: Entry, facts: ImageFacts, extensions: tuple[str, ...]) -> dict[str, object]:
    """The row of one file, without label. ``extensions`` are lower case with their dot."""
    found = entry.found
    convertible = facts.reason if facts.reason in KINDS.values() else None
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


def facts_of(content: Content) -> ImageFacts:
    """Decode a file to grey and measure it."""
    image = decode(content, grey=True)
    if image.pixels is None:
        return ImageFacts(image.format, None, None, None, image.stored_channels, None, image.reason, None, None)
    plane = np.ascontiguousarray(image.pixels)
    height, width = plane.shape
    sums, thumbnail, edges = describe(plane)
    crc = f"{zlib.crc32(sums.astype('<i8').tobytes()):08x}"
    return ImageFacts(image.format, height, width, CHANNELS, image.stored_channels, crc, None, thumbnail, edges)


def unknown_extension(path: str, extensions: tuple[str, ...]) -> str | None:
    """The reason to reject a file because of its extension; None if the extension is one of ``extensions``."""
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in extensions:
        return None
    return f"unknown extension {suffix}" if suffix else "no extension"


def label_rows(frame: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Add ``label``, ``tumor``, ``contrast``, ``patient`` and ``split_given`` from the folders above each file.

    Files that the profile ignores, and accepted images that lie below no class folder, become rejected.
    """
    names = by_folder(frame["path"], profile.class_in)
    labels = [parse_label(name) if name else None for name in names]
    columns = {
        "label": names,
        "tumor": [label.tumor if label else None for label in labels],
        "contrast": [label.contrast if label else None for label in labels],
        "patient": by_folder(frame["path"], profile.naming.patient),
        "split_given": by_folder(frame["path"], profile.given_split),
    }
    frame = frame.assign(**{name: pd.Series(values, frame.index, dtype=object) for name, values in columns.items()})
    accepted = frame["status"] == "ok"
    ignored = accepted & frame["path"].isin(profile.ignored)
    stray = accepted & ~ignored & frame["label"].isna()
    frame.loc[ignored, "reason"] = f"{profile.name} ignores it"
    frame.loc[stray, "reason"] = [stray_reason(path, profile) for path in frame.loc[stray, "path"]]
    frame.loc[ignored | stray, "status"] = "rejected"
    return frame


def stray_reason(path: str, profile: Profile) -> str:
    """The reason to reject an image that lies below no class folder."""
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
