"""Scoring runs in the results database: which worker holds which shard, and rows that are committed exactly once.

A worker claims a shard for ``LEASE`` and a fence: a number that rises with each claim. It commits only while the fence
is still its own, so a worker that comes late, after its lease expired and another one took over, cannot commit twice
(Kleppmann, "How to do distributed locking", 2016).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, tuple_

from mri_model.errors import MriError
from mri_model.models.reference import DriftState
from mri_model.results.schema import drift_metric, prediction, scoring_run, scoring_shard, series_prediction
from mri_model.results.store import Store, execute_many
from mri_model.results.values import stored_rows

Identity = tuple[str, str]
Row = Mapping[str, Any]


class FoundDrift(Protocol):
    """What a comparison with the validation images found, see ``scoring.drift.Drift``."""

    @property
    def state(self) -> DriftState: ...
    @property
    def n_runs(self) -> int: ...
    def as_row(self) -> dict[str, Any]: ...
    def metrics(self) -> list[dict[str, Any]]: ...


DriftCheck = Callable[[Sequence[Row]], FoundDrift]
"""Compares a run, given what the runs that wait for it have kept."""

LEASE = timedelta(seconds=60)
"""How long a shard belongs to a worker that does not renew its lease."""

COUNTS = ("n_scored", "n_abstained", "n_rejected", "n_reused")


class ScoringLedger:
    """The shards and predictions of scoring runs by one model.

    Args:
        store: The database.
        model_id: A recorded model.
    """

    def __init__(self, store: Store, model_id: str) -> None:
        self._store, self._model_id = store, model_id

    def start(self, run: Row, shard_sizes: Sequence[int]) -> str:
        """Record a run and its shards, or join the running one of the same folder and listing.

        Interrupted runs of the folder with another listing are superseded: what they committed stays.

        Args:
            run: ``id``, ``folder``, ``listing``, ``n_found``, ``engine``, ``risk`` and ``parquet``, which is written at
                its end.
            shard_sizes: Number of files of each shard.

        Returns:
            The id of the run.
        """
        with self._store.writing() as connection:
            now = moment(connection)
            of_folder = and_(
                scoring_run.c.model_id == self._model_id,
                scoring_run.c.folder == run["folder"],
                scoring_run.c.status == "running",
            )
            row = {**run, "model_id": self._model_id, "started_at": now, "active_until": now + LEASE}
            if joined := self._join(connection, {**row, "status": "running"}, of_folder):
                return joined
            supersede(connection, and_(of_folder, scoring_run.c.id != run["id"], scoring_run.c.active_until < now))
            shards = [{"run_id": run["id"], "number": n, "n_files": size} for n, size in enumerate(shard_sizes)]
            execute_many(connection, scoring_shard.insert(), stored_rows(scoring_shard, shards))
        return str(run["id"])

    def running(self, folder: str, listing: str) -> str | None:
        """The run that is running, or was interrupted, on a folder with this listing."""
        table = scoring_run
        same = and_(table.c.folder == folder, table.c.listing == listing, table.c.status == "running")
        found = self._read(select(table.c.id).where(table.c.model_id == self._model_id, same))
        return str(found[0].id) if found else None

    def run(self, run_id: str) -> dict[str, Any]:
        """The row of a run. Raises MriError if it was deleted, or is another model's."""
        query = select(scoring_run).where(scoring_run.c.id == run_id)
        rows = [dict(row._mapping) for row in self._read(query)]
        if not rows:
            raise MriError(f"there is no scoring run {run_id}", "see: mri query scored-runs")
        if rows[0]["model_id"] != self._model_id:
            raise MriError(f"{run_id} scores with {rows[0]['model_id']}, not {self._model_id}", "give its model")
        return rows[0]

    def claim(self, run_id: str, worker: str) -> tuple[int, int] | None:
        """Lease the first free shard. Returns its number and fence; None if no shard is free now."""
        with self._store.writing() as connection:
            return claim(connection, run_id, worker)

    def renew(self, run_id: str, shards: Sequence[tuple[int, int]]) -> None:
        """Extend the leases on shards, by number and fence; one that another worker has taken over stays its."""
        own = tuple_(scoring_shard.c.number, scoring_shard.c.fence).in_(shards)
        with self._store.writing() as connection:
            until = keep_active(connection, run_id)
            connection.execute(
                scoring_shard.update().where(scoring_shard.c.run_id == run_id, own).values(lease_until=until)
            )

    def release(self, run_id: str, number: int, fence: int) -> None:
        """Free a shard whose worker is dead."""
        statement = scoring_shard.update().where(is_shard(run_id, number, fence)).values(lease_until=None)
        with self._store.writing() as connection:
            connection.execute(statement)

    def commit(
        self,
        run_id: str,
        shard: tuple[int, int],
        rows: Sequence[Row],
        found: Sequence[Identity],
        keep: Callable[[list[dict[str, Any]]], None],
    ) -> bool:
        """Record the predictions of a shard and mark it done: all of it or nothing.

        A prediction that is recorded already stays as it is. The newer attempt replaces it where the file was rejected,
        because it may be readable now, or a newer version may decode it, and where it was decided for another risk.

        Args:
            run_id: The run.
            shard: Number and fence.
            rows: New predictions.
            found: Path and digest of every file of the shard, also of those that are recorded already.
            keep: Called before the commit, with the recorded rows of all files of the shard.

        Returns:
            Whether the shard is done; False if another worker has taken it over. Then nothing is recorded.
        """
        own = is_shard(run_id, *shard)
        open_shard = and_(own, scoring_shard.c.done_at.is_(None))
        with self._store.writing() as connection:
            now = keep_active(connection, run_id) - LEASE
            if not connection.execute(scoring_shard.update().where(open_shard).values(done_at=now)).rowcount:
                # the answer to an earlier attempt may have been lost on its way
                return connection.scalar(select(scoring_shard.c.number).where(own)) is not None
            self._add(connection, [{**row, "run_id": run_id, "seen_at": now} for row in rows])
            recorded = self._see(connection, found, now)
            connection.execute(scoring_shard.update().where(own).values(counts_of(recorded, run_id)))
            keep(recorded)
        return True

    def known(self, paths: Sequence[str], risk: float | None = None) -> set[Identity]:
        """Path and digest of this model's answers for these paths and this risk; rejected files are tried again."""
        query = select(prediction.c.path, prediction.c.sha256).where(self._answered(risk), prediction.c.path.in_(paths))
        return {(row.path, row.sha256) for row in self._read(query)}

    def count_known(self, folder: str, risk: float | None = None) -> int:
        """Number of this model's answers below a folder for this risk, also about files that are gone or changed."""
        start = f"{folder.rstrip('/')}/"
        below = and_(prediction.c.path >= start, prediction.c.path < f"{start[:-1]}0")  # "0" follows "/"
        ((count,),) = self._read(select(func.count()).where(self._answered(risk), below))
        return int(count)

    def _answered(self, risk: float | None) -> ColumnElement[bool]:
        return and_(
            prediction.c.model_id == self._model_id,
            prediction.c.status != "rejected",
            prediction.c.risk.is_not_distinct_from(risk),
        )

    def progress(self, run_id: str) -> tuple[int, int]:
        """Number of files done, and of shards that are not done; (0, 0) for a run that is over."""
        table = scoring_shard
        is_done = table.c.done_at.is_not(None)
        query = select(
            func.coalesce(func.sum(case((is_done, table.c.n_files), else_=0)), 0).label("files"),
            func.coalesce(func.sum(case((is_done, 0), else_=1)), 0).label("left"),
        ).where(table.c.run_id == run_id)
        (row,) = self._read(query)
        return int(row.files), int(row.left)

    def leases(self, run_id: str) -> list[tuple[int, int, str]]:
        """Number, fence and worker of each shard that is leased and not done."""
        table = scoring_shard
        query = select(table.c.number, table.c.fence, table.c.worker).where(
            table.c.run_id == run_id, table.c.done_at.is_(None), table.c.lease_until.is_not(None)
        )
        return [(row.number, row.fence, row.worker) for row in self._read(query)]

    def fences(self, run_id: str) -> list[int]:
        """The fence under which each shard was done, by number."""
        table = scoring_shard
        query = select(table.c.fence).where(table.c.run_id == run_id).order_by(table.c.number)
        return [row.fence for row in self._read(query)]

    def ended(self, run_ids: Sequence[str]) -> list[str]:
        """Those of these runs that are recorded and no longer running."""
        table = scoring_run
        query = select(table.c.id).where(table.c.id.in_(run_ids), table.c.status != "running")
        return [row.id for row in self._read(query)]

    def finish(self, run_id: str, check: DriftCheck | None = None, series: Sequence[Row] = ()) -> dict[str, Any]:
        """Complete the row of a run whose shards are all done; a run is finished once only.

        Args:
            check: Compares the run with the validation images, together with the runs that wait for it.
            series: Rows of ``series_prediction``, which are recorded with the row.

        Returns:
            The row; its ``status`` is ``superseded`` if the folder changed and another run took over.

        Raises:
            MriError: If the run was deleted.
        """
        with self._store.writing() as connection:
            return finish(connection, run_id, check, series)

    def _join(self, connection: Connection, run: Row, of_folder: ColumnElement[bool]) -> str | None:
        """Record a run; if the same folder is running with the same listing, the id of that run instead."""
        insert = self._store.insert(scoring_run).values(stored_rows(scoring_run, [run])).on_conflict_do_nothing()
        same = select(scoring_run.c.id).where(of_folder, scoring_run.c.listing == run["listing"])
        while connection.scalar(insert.returning(scoring_run.c.id)) is None:
            if joined := connection.scalar(same):
                return str(joined)  # else it has been finished between the two statements
        return None

    def _see(self, connection: Connection, found: Sequence[Identity], now: datetime) -> list[dict[str, Any]]:
        """Note that files were found; returns their rows."""
        identity = tuple_(prediction.c.path, prediction.c.sha256)
        ours = and_(prediction.c.model_id == self._model_id, identity.in_(list(found)))
        connection.execute(prediction.update().where(ours).values(seen_at=now))
        return [dict(row) for row in connection.execute(select(prediction).where(ours)).mappings()]

    def _add(self, connection: Connection, rows: Sequence[Row]) -> None:
        statement = self._store.insert(prediction)
        other_risk = prediction.c.risk.is_distinct_from(statement.excluded.risk)
        outdated = or_(prediction.c.status == "rejected", other_risk)
        execute_many(
            connection,
            statement.on_conflict_do_update(
                index_elements=list(prediction.primary_key.columns),
                set_={
                    column.name: case((outdated, statement.excluded[column.name]), else_=column)
                    for column in prediction.columns
                    if not column.primary_key
                },
            ),
            stored_rows(prediction, rows),
        )

    def _read(self, query: Any) -> Sequence[Any]:
        with self._store.reading() as connection:
            return connection.execute(query).all()


STATUSES = ("scored", "abstained", "rejected")


def counts_of(rows: Sequence[Row], run_id: str) -> dict[str, int]:
    """The counts of a shard by its rows."""
    counts = {f"n_{name}": sum(row["status"] == name for row in rows) for name in STATUSES}
    return {**counts, "n_reused": sum(row["run_id"] != run_id for row in rows)}


def supersede(connection: Connection, where: ColumnElement[bool]) -> None:
    """End interrupted runs and drop their shards."""
    dead = list(connection.scalars(select(scoring_run.c.id).where(where)))
    connection.execute(scoring_shard.delete().where(scoring_shard.c.run_id.in_(dead)))
    connection.execute(scoring_run.update().where(scoring_run.c.id.in_(dead)).values(status="superseded"))


def claim(connection: Connection, run_id: str, worker: str) -> tuple[int, int] | None:
    until = keep_active(connection, run_id)
    table = scoring_shard
    is_free = or_(table.c.lease_until.is_(None), table.c.lease_until < until - LEASE)
    open_shards = select(table.c.number).where(table.c.run_id == run_id, table.c.done_at.is_(None), is_free)
    number = connection.scalar(open_shards.order_by(table.c.number).limit(1))
    if number is None:
        return None
    taken = table.update().where(table.c.run_id == run_id, table.c.number == number)
    values = {"fence": table.c.fence + 1, "worker": worker, "lease_until": until}
    fence = connection.scalar(taken.values(values).returning(table.c.fence))
    return number, int(fence or 0)


def finish(
    connection: Connection, run_id: str, check: DriftCheck | None = None, series: Sequence[Row] = ()
) -> dict[str, Any]:
    totals = select(*(func.sum(scoring_shard.c[name]).label(name) for name in COUNTS)).where(
        scoring_shard.c.run_id == run_id
    )
    counts = connection.execute(totals).mappings().one()
    values = {**counts, "status": "finished", "finished_at": moment(connection)}
    running = and_(scoring_run.c.id == run_id, scoring_run.c.status == "running")
    if connection.execute(scoring_run.update().where(running).values(values)).rowcount:
        connection.execute(scoring_shard.delete().where(scoring_shard.c.run_id == run_id))
        execute_many(connection, series_prediction.insert(), stored_rows(series_prediction, series))
        if check:
            record_drift(connection, run_id, check)
    row = connection.execute(select(scoring_run).where(scoring_run.c.id == run_id)).mappings().first()
    if row is None:
        raise MriError(f"scoring run {run_id} was deleted", "run the command again")
    return dict(row)


def record_drift(connection: Connection, run_id: str, check: DriftCheck) -> None:
    """Test a run, together with the waiting runs of its model if the test takes these in: all then have its result."""
    table = scoring_run
    model_id = select(table.c.model_id).where(table.c.id == run_id).scalar_subquery()
    waits = and_(table.c.model_id == model_id, table.c.drift == "waiting")
    earlier = connection.execute(
        select(table.c.id, table.c.drift_waiting).where(waits).order_by(table.c.id).with_for_update()
    ).all()
    drift = check([row.drift_waiting for row in earlier])
    together = [run_id, *(row.id for row in earlier if drift.state != "waiting" and drift.n_runs > 1)]
    connection.execute(table.update().where(table.c.id.in_(together)).values(drift.as_row()))
    metrics = [{"run_id": name, **each} for name in together for each in drift.metrics()]
    execute_many(connection, drift_metric.insert(), stored_rows(drift_metric, metrics))


def is_shard(run_id: str, number: int, fence: int) -> ColumnElement[bool]:
    table = scoring_shard
    return and_(table.c.run_id == run_id, table.c.number == number, table.c.fence == fence)


def keep_active(connection: Connection, run_id: str) -> datetime:
    """Say that somebody works on a run; returns until when that holds without being said again."""
    until = moment(connection) + LEASE
    connection.execute(scoring_run.update().where(scoring_run.c.id == run_id).values(active_until=until))
    return until


def moment(connection: Connection) -> datetime:
    """Now, by the clock that all workers share: the server's, or this machine's for SQLite."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)
