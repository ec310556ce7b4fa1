"""How a process comes to a scoring run: it joins the one running on a folder, or lists the folder and starts one.

A run lives in the database and in a folder of its own, which holds its listing and its parts.
"""

import os
import shutil
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from mri_model.data.medical.survey import survey
from mri_model.errors import MriError, SkippedError
from mri_model.files import atomic, run_id
from mri_model.models.artifact import Model
from mri_model.progress import Log, ProgressCallback
from mri_model.scoring.drift import Drift
from mri_model.scoring.listing import Reading, scan_folder, write_listing
from mri_model.scoring.scorer import Identity

Claim = tuple[int, int]
"""Number of a shard and the fence under which a worker holds it."""

DriftCheck = Callable[[Sequence[Mapping[str, Any]]], Drift]
"""Compares a run, given what the runs that wait to be tested together with it have kept."""

LISTING = "listing.parquet"


class Ledger(Protocol):
    """What a scoring run needs of the results database, see ``results.scoring_ledger.ScoringLedger``."""

    def start(self, run: Mapping[str, Any], shard_sizes: Sequence[int]) -> str: ...
    def running(self, folder: str, listing: str) -> str | None: ...
    def run(self, run_id: str) -> dict[str, Any]: ...
    def claim(self, run_id: str, worker: str) -> Claim | None: ...
    def renew(self, run_id: str, shards: Sequence[Claim]) -> None: ...
    def release(self, run_id: str, number: int, fence: int) -> None: ...
    def commit(
        self,
        run_id: str,
        shard: Claim,
        rows: Sequence[Mapping[str, Any]],
        found: Sequence[Identity],
        keep: Callable[[list[dict[str, Any]]], None],
    ) -> bool: ...
    def known(self, paths: Sequence[str], risk: float | None) -> set[Identity]: ...
    def count_known(self, folder: str, risk: float | None) -> int: ...
    def progress(self, run_id: str) -> tuple[int, int]: ...
    def leases(self, run_id: str) -> list[tuple[int, int, str]]: ...
    def fences(self, run_id: str) -> list[int]: ...
    def ended(self, run_ids: Sequence[str]) -> list[str]: ...
    def finish(
        self, run_id: str, check: DriftCheck | None = None, series: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]: ...


@dataclass(frozen=True)
class OpenRun:
    """A scoring run that is worked on.

    Attributes:
        id: Its id.
        folder: Where its listing and parts are, until it is finished.
        n_files: Number of files.
        n_new: About how many of them the model has not scored before.
        worker: Name of this process in the run.
    """

    id: str
    folder: Path
    n_files: int
    n_new: int
    worker: str

    @property
    def listing(self) -> Path:
        return self.folder / LISTING

    @property
    def parquet(self) -> Path:
        return self.folder.with_name(f"{self.id}.parquet")


def open_run(
    ledger: Ledger,
    model: Model,
    folder: Path,
    scores: Path,
    risk: float | None,
    reading: Reading,
    expected: str,
    progress: ProgressCallback,
    log: Log,
) -> OpenRun:
    """Join the run that is running on the folder as it is for the same risk, or list the folder and start one.

    Args:
        expected: Digest that the listing must have; empty: any.
    """
    state, candidates = scan_folder(folder)
    check_unchanged(folder, state.digest, expected)
    place = reading.shown_folder(folder)
    joined = ledger.running(place, for_risk(state.digest, risk))
    if joined and (scores / joined / LISTING).is_file():
        log(f"joined {joined}, which is scoring this folder, or was interrupted")
        return join_run(ledger, joined, scores)
    surveyed = survey(candidates, reading.pseudonyms, model.metadata.slices, None, progress, reading.cache)
    name = run_id("score")
    with TemporaryDirectory(prefix="mri-listing-") as temporary:  # not in scores: a killed process would leave it there
        own = Path(temporary) / LISTING
        listing = write_listing(folder, own, surveyed, reading)
        check_unchanged(folder, listing.digest, expected)
        digest = for_risk(listing.digest, risk)
        row = {"id": name, "folder": place, "listing": digest, "n_found": listing.n_files, "risk": risk}
        row |= {"parquet": str(scores / f"{name}.parquet"), "engine": model.engine.name if model.engine else None}
        chosen = ledger.start(row, listing.shard_sizes)
        if not (placed := scores / chosen / LISTING).is_file():
            check_same_files(ledger, chosen, listing.n_files)
            with atomic(placed) as copy:
                shutil.copyfile(own, copy)
    if chosen != name:
        log(f"joined {chosen}, which is scoring this folder, or was interrupted")
    n_new = max(listing.n_files - ledger.count_known(place, risk), 0)
    return OpenRun(chosen, scores / chosen, listing.n_files, n_new, worker_name())


def for_risk(digest: str, risk: float | None) -> str:
    """What identifies the listing of a run: a folder is scored for each risk."""
    return digest if risk is None else f"{digest}-risk-{risk!r}"


def check_unchanged(folder: Path, digest: str, expected: str) -> None:
    """Raises SkippedError if the folder's listing is another than expected."""
    if expected not in ("", digest):
        raise SkippedError(f"{folder} has changed", "it is scored when it is unchanged for a while")


def check_same_files(ledger: Ledger, name: str, n_files: int) -> None:
    """Raises MriError if this process would list other slices than the one that has started the run."""
    n_found = ledger.run(name)["n_found"]
    if n_found != n_files:
        raise MriError(
            f"{name} was started with {n_found} files and slices, of which this process finds {n_files}",
            f"install the same extras everywhere, or: mri delete {name} --yes, then score again",
        )


def join_run(ledger: Ledger, name: str, scores: Path) -> OpenRun:
    """A run that another process has opened.

    Raises:
        MriError: If it was deleted, is another model's, or its files are not there.
    """
    row = ledger.run(name)
    n_new = max(row["n_found"] - ledger.count_known(row["folder"], row["risk"]), 0)
    run = OpenRun(name, scores / name, row["n_found"], n_new, worker_name())
    if row["status"] == "running" and not run.listing.is_file():
        raise MriError(f"{run.listing} is missing", "all workers need the same MRI_HOME, on storage that they share")
    return run


def worker_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
