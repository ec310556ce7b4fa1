"""The quality report of a data set: runs the checks, and keeps their results in ``quality.json``."""

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

from mri_model.data.agreement import read_agreements
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.manifest import Manifest, read_near_duplicates
from mri_model.errors import MriError
from mri_model.files import write_json
from mri_model.quality.burned_in import BurnedIn
from mri_model.quality.check import LEVEL_NAMES, Check, Issue
from mri_model.quality.classes import Classes
from mri_model.quality.conflicts import Conflicts
from mri_model.quality.copies import Copies
from mri_model.quality.dataset import DataSet
from mri_model.quality.duplicates import Duplicates
from mri_model.quality.extensions import Extensions
from mri_model.quality.file_shortcut import FileShortcut
from mri_model.quality.folders import Folders
from mri_model.quality.given_split import GivenSplit
from mri_model.quality.header_contrast import HeaderContrast
from mri_model.quality.large_groups import LargeGroups
from mri_model.quality.leakage import Leakage
from mri_model.quality.masks import Masks
from mri_model.quality.nearest_neighbor import NearestNeighbor
from mri_model.quality.overview import Overview
from mri_model.quality.patients import Patients
from mri_model.quality.rejected_files import RejectedFiles
from mri_model.quality.same_source import SameSource
from mri_model.quality.split_sizes import SplitSizes

QUALITY_VERSION = 6
"""Version of what the report measures and says. Raise it when that changes: older reports are then made again."""

QUALITY_FILE = "quality.json"


@dataclass(frozen=True)
class Checks:
    """The results of all checks. This is also the list of checks to run: a new check is one more line.

    Issues of the same level are reported in this order.
    """

    overview: Overview
    patients: Patients
    folders: Folders
    header_contrast: HeaderContrast
    burned_in: BurnedIn
    masks: Masks
    same_source: SameSource
    conflicts: Conflicts
    copies: Copies
    large_groups: LargeGroups
    nearest_neighbor: NearestNeighbor
    file_shortcut: FileShortcut
    duplicates: Duplicates
    files: RejectedFiles
    extensions: Extensions
    classes: Classes
    split_sizes: SplitSizes
    given_split: GivenSplit
    leakage: Leakage


@dataclass(frozen=True)
class QualityReport(Checks):
    """The quality report of a data set.

    Attributes:
        issues: Leaks first, then by level, most serious first.
        version: The ``QUALITY_VERSION`` it was made with.
    """

    issues: tuple[Issue, ...]
    version: int


def write_quality_report(manifest: Manifest, fingerprints: Fingerprints) -> QualityReport:
    """Return the quality report of a manifest, from ``quality.json`` beside it if that is current.

    Otherwise measure it and write the file.

    Args:
        manifest: The data set.
        fingerprints: Those of its rows.

    Raises:
        MriError: If the manifest's near duplicates or agreement curves are missing or damaged.
    """
    with contextlib.suppress(MriError):
        return read_quality_report(manifest.folder)
    report = quality_report(read_dataset(manifest, fingerprints))
    write_json(manifest.folder / QUALITY_FILE, asdict(report))
    return report


def read_dataset(manifest: Manifest, fingerprints: Fingerprints) -> DataSet:
    """What the checks need of a manifest. Raises MriError if one of its files is missing or damaged."""
    return DataSet(manifest.frame, fingerprints, read_near_duplicates(manifest), read_agreements(manifest.folder))


def read_quality_report(folder: Path) -> QualityReport:
    """Read the quality report beside a manifest.

    Raises:
        MriError: If it is missing, damaged or of another version.
    """
    from pydantic import TypeAdapter  # slow to import

    file = folder / QUALITY_FILE
    with contextlib.suppress(OSError, ValueError):
        report = TypeAdapter(QualityReport).validate_json(file.read_bytes())
        if report.version == QUALITY_VERSION:
            return report
    raise MriError(f"{file} is missing, damaged or of another version", "run: mri ingest DATA")


def quality_report(data: DataSet) -> QualityReport:
    """Run all checks: how far can a score on this data set be trusted?

    The same input gives the same report to the last digit, with any number of threads.
    """
    checks = Checks(**{name: check.measure(data) for name, check in get_type_hints(Checks).items()})
    return QualityReport(**vars(checks), issues=tuple(list_issues(checks)), version=QUALITY_VERSION)


def list_issues(checks: Checks) -> list[Issue]:
    """The issues of all checks: leaks first, then by level, then in the order of the checks."""
    results: list[Check] = list(vars(checks).values())
    leaks, levels = set(checks.leakage.leak_issues()), list(LEVEL_NAMES)
    issues = [issue for result in results for issue in result.issues()]
    return sorted(issues, key=lambda issue: (issue not in leaks, levels.index(issue.level)))
