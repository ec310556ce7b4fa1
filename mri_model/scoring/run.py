"""A scoring run: a folder is listed and cut into shards, and each shard is scored and committed exactly once.

The run lives in the database and in a folder of its own, so any number of processes can work on it, and any of them may
die: who runs the same command again, or at the same time, joins the run.
"""

import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from mri_model.data.parallel import chunks, ordered_map
from mri_model.errors import MriError
from mri_model.files import is_held, lock_of
from mri_model.models.artifact import Model
from mri_model.models.inference import BATCH
from mri_model.models.reference import DriftState
from mri_model.models.training_images import seen_digests
from mri_model.progress import Log, ProgressCallback, no_log, no_progress
from mri_model.scoring.decision import AnswerRule
from mri_model.scoring.drift import SAMPLE, DriftTest
from mri_model.scoring.listing import ListedFile, Reading, read_shard
from mri_model.scoring.opening import Claim, DriftCheck, Ledger, OpenRun, join_run, open_run
from mri_model.scoring.participation import ANY, Participation
from mri_model.scoring.parts import (
    SERIES_SCHEMA,
    Reasons,
    merge_parts,
    part_file,
    read_described,
    read_reasons,
    series_file,
    write_part,
    write_series,
)
from mri_model.scoring.scorer import (
    FILES_PER_TASK,
    Entry,
    Identity,
    Prediction,
    read_entries,
    reading_tasks,
    score_entries,
)
from mri_model.scoring.series import SeriesSums

RENEW_SECONDS = 15.0
"""How often a worker renews its leases; a lease holds for longer (``results.scoring_ledger.LEASE``)."""

POLL_SECONDS = 1.0

MOST_REASONS = 5


@dataclass(frozen=True)
class ScoringCounts:
    """Files of a scoring run: found = scored + abstained + rejected; ``n_reused`` of them kept an earlier row.

    Each slice of a volume counts as one.
    """

    n_found: int
    n_scored: int
    n_abstained: int
    n_rejected: int
    n_reused: int


class DriftResult(NamedTuple):
    """Whether the images of a run differ from the validation images, and why, in one line."""

    state: DriftState
    reason: str


@dataclass(frozen=True)
class ScoringRun:
    """A finished scoring run.

    Attributes:
        parquet: One row for every file and slice found, in the order of the files' paths. ``run_id`` in a row is the
            run that scored the file.
        reasons: Why files were rejected.
        drift: Result of the comparison with the validation images, and why; None if nothing was compared.
    """

    run_id: str
    model_id: str
    parquet: Path
    counts: ScoringCounts
    reasons: Reasons
    drift: DriftResult | None = None

    @property
    def rows(self) -> pd.DataFrame:
        """All rows, read from ``parquet``."""
        return pd.read_parquet(self.parquet)

    @property
    def n_failed(self) -> int:
        """Number of rejected files, without slices that are left out by choice."""
        return self.counts.n_rejected - self.reasons.n_left_out

    @property
    def series(self) -> pd.DataFrame:
        """One row for each series, in the order in which they were found (``parts.SERIES_SCHEMA``)."""
        file = series_file(self.parquet)
        return pd.read_parquet(file) if file.is_file() else SERIES_SCHEMA.empty_table().to_pandas()

    def require_scores(self, facts: Mapping[str, Any] | None = None) -> None:
        """Raises MriError, with the reasons and ``facts``, if not one file could be scored."""
        if not self.counts.n_scored + self.counts.n_abstained:
            counts = ", ".join(f"{n} {reason}" for reason, n in self.reasons.counts.most_common(MOST_REASONS))
            more = ", …" if len(self.reasons.counts) > MOST_REASONS else ""
            raise MriError(
                f"none of {self.counts.n_found} files could be scored: {counts}{more}",
                "give a folder of images to score",
                facts,
            )


@dataclass
class Shard:
    """A shard that this process holds.

    Attributes:
        claim: Its number and fence.
        files: Its files.
        known: Those that this model has scored before, for the same risk.
        fingerprints: Path → fingerprint of the images that are compared with the validation images.
    """

    claim: Claim
    files: list[ListedFile]
    known: set[Identity]
    found: list[Identity] = field(default_factory=list)
    fingerprints: dict[str, bytes] = field(default_factory=dict)
    predictions: list[Prediction] = field(default_factory=list)


def score_folder(
    ledger: Ledger,
    model: Model,
    folder: Path,
    scores: Path,
    risk: float | None = None,
    progress: ProgressCallback = no_progress,
    log: Log = no_log,
    part: Participation = ANY,
    reading: Reading | None = None,
) -> ScoringRun:
    """Score every file below ``folder``; one this model scored before, unchanged and for this risk, keeps its row.

    Args:
        reading: How the folder is read; None: with pseudonyms that are kept nowhere.
        risk: Share of wrong answers that is acceptable, in 0-1; answers that would exceed it are not given. None: only
            images unlike the training images get no answer.

    Raises:
        SkippedError: If the folder is not as ``part`` says.
        MriError: If the folder is missing or empty, the run was deleted meanwhile, or the model's validation images
            cannot guarantee the risk.
    """
    rule = AnswerRule.of(model, risk)
    if rule.distance is None:
        log(f"{model.id} has no guard: it answers about any image, without prediction sets; train it again to have one")
    try:
        remove_ended(ledger, scores)
        if part.run_id:
            run = join_run(ledger, part.run_id, scores)
        else:
            how = reading or Reading()
            run = open_run(ledger, model, folder, scores, risk, how, part.listing, progress, log)
        part.opened(run.id, model.folder)
        with intact(run):
            with working(run):
                while work(ledger, model, rule, run, progress):
                    free_shards_of_the_dead(ledger, run)
                    time.sleep(POLL_SECONDS)
            return finish(ledger, model, rule, run)
    except OSError as error:  # a full disk, or a share that is gone
        place = f" {error.filename}" if error.filename else ""
        raise MriError(
            f"cannot write{place}: {error.strerror or error}",
            "free some space; then run the same command, which goes on",
        ) from None


def work(ledger: Ledger, model: Model, rule: AnswerRule, run: OpenRun, progress: ProgressCallback) -> bool:
    """Score shards until none is free. Returns whether others still hold some."""
    progress("score", ledger.progress(run.id)[0], run.n_files)
    for shard in score_shards(ledger, model, rule, run):
        commit(ledger, run, shard)
        progress("score", ledger.progress(run.id)[0], run.n_files)
    return ledger.progress(run.id)[1] > 0


def score_shards(ledger: Ledger, model: Model, rule: AnswerRule, run: OpenRun) -> Iterator[Shard]:
    """Claim and score shards. Threads read and decode ahead of the network, also of the next shard.

    A prediction is made from the entry that holds its pixels, never by position.
    """
    held: list[Shard] = []

    def tasks() -> Iterator[tuple[Shard, list[ListedFile]]]:
        for shard in claimed_shards(ledger, run, rule.risk):
            held.append(shard)
            yield from ((shard, files) for files in reading_tasks(shard.files, FILES_PER_TASK))

    def read(task: tuple[Shard, list[ListedFile]]) -> list[tuple[Shard, Entry]]:
        return [(task[0], entry) for entry in read_entries(model, task[1], task[0].known, run.n_new)]

    renewed = time.monotonic()
    entries = chain.from_iterable(ordered_map(read, tasks(), items_per_task=1))
    for _, pairs in groupby(entries, key=lambda pair: pair[0].claim):
        shard = held[0]
        for batch in chunks((entry for _, entry in pairs), BATCH):
            shard.found += [(entry.path, entry.sha256) for entry in batch]
            shard.fingerprints |= {entry.path: entry.fingerprint for entry in batch if entry.fingerprint}
            shard.predictions += score_entries(model, rule, [entry for entry in batch if not entry.known])
            if time.monotonic() - renewed > RENEW_SECONDS:
                ledger.renew(run.id, [each.claim for each in held])
                renewed = time.monotonic()
        held.pop(0)
        yield shard


def claimed_shards(ledger: Ledger, run: OpenRun, risk: float | None) -> Iterator[Shard]:
    while claim := ledger.claim(run.id, run.worker):
        try:
            files = read_shard(run.listing, claim[0])
        except FileNotFoundError:
            raise MriError(f"scoring run {run.id} was deleted", "run the command again") from None
        yield Shard(claim, files, ledger.known([file.path for file in files], risk))


def commit(ledger: Ledger, run: OpenRun, shard: Shard) -> None:
    """Write a shard's rows to the database and to a part file; not at all if another worker has taken it over."""
    part = part_file(run.folder, *shard.claim)
    keep = partial(write_part, part, order=[file.path for file in shard.files], fingerprints=shard.fingerprints)
    rows = [asdict(each) for each in shard.predictions]
    if not ledger.commit(run.id, shard.claim, rows, shard.found, keep):
        part.unlink(missing_ok=True)


def finish(ledger: Ledger, model: Model, rule: AnswerRule, run: OpenRun) -> ScoringRun:
    """Write the run's files of scores; of several processes that come here together each returns the same run."""
    parts = [part_file(run.folder, number, fence) for number, fence in enumerate(ledger.fences(run.id))]
    series: list[dict[str, Any]] = []
    if parts:
        try:
            series = write_scores(model, rule, run, parts)
        except FileNotFoundError as error:
            if not ledger.ended([run.id]):
                raise MriError(f"{error.filename} is missing", f"mri delete {run.id}, then score again") from None
    row = ledger.finish(run.id, test_of(model, run, parts), series)
    if row["status"] != "finished":
        raise MriError(f"{run.id} was superseded: the folder changed meanwhile", "run the command again")
    shutil.rmtree(run.folder, ignore_errors=True)
    counts = ScoringCounts(**{name: row[name] for name in ScoringCounts.__annotations__})
    drift = DriftResult(row["drift"], row["drift_reason"]) if row["drift"] else None
    return ScoringRun(run.id, model.id, run.parquet, counts, read_reasons(run.parquet), drift)


def write_scores(model: Model, rule: AnswerRule, run: OpenRun, parts: Sequence[Path]) -> list[dict[str, Any]]:
    """Write the run's rows, and those of its series, which are returned. Raises FileNotFoundError if a part is gone."""
    sums = SeriesSums()
    merge_parts(parts, run.parquet, sums.add)
    series = sums.rows(model, rule, run.id)
    write_series(run.parquet, series)
    return series


def test_of(model: Model, run: OpenRun, parts: Sequence[Path]) -> DriftCheck | None:
    """How a run is compared with the validation images; None if it has scored nothing new, or the model kept none."""
    if model.reference is None:
        return None
    try:
        rows = read_described(parts, run.id, seen_digests(model.folder, model.id), SAMPLE)
    except FileNotFoundError:
        return None  # another process has finished the run
    if not rows.num_rows:
        return None
    test = DriftTest(model, model.reference)
    return partial(test.check, test.sample(rows))


@contextmanager
def working(run: OpenRun) -> Iterator[None]:
    """Hold the lock that tells others on this machine that the worker is alive."""
    with lock_of(worker_lock(run, run.worker)):
        yield


@contextmanager
def intact(run: OpenRun) -> Iterator[None]:
    """Raises MriError where the run's listing or a part of it turns out to be damaged."""
    try:
        yield
    except pa.ArrowInvalid as error:
        problem = str(error).splitlines()[0]
        raise MriError(
            f"a file in {run.folder} is damaged: {problem}", f"run: mri delete {run.id} --yes, then score again"
        ) from None


def free_shards_of_the_dead(ledger: Ledger, run: OpenRun) -> None:
    """Free the shards of workers that died on this machine; those of other machines wait until their lease expires."""
    here = f"{socket.gethostname()}-"
    for number, fence, worker in ledger.leases(run.id):
        if worker.startswith(here) and not is_held(worker_lock(run, worker)):
            ledger.release(run.id, number, fence)


def worker_lock(run: OpenRun, worker: str) -> Path:
    return run.folder / "workers" / f"{worker}.lock"


def remove_ended(ledger: Ledger, scores: Path) -> None:
    """Remove the folders of runs that ended before they could remove them."""
    folders = {each.name: each for each in scores.glob("score-*") if each.is_dir()}
    for name in ledger.ended(list(folders)):
        shutil.rmtree(folders[name], ignore_errors=True)
