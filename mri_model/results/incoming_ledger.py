"""Incoming folders in the results database: what each look found, and what became of the scoring of each folder.

A folder is known by the digest of its listing. Whether it is scored, or is being scored, is read from the scoring runs
with that listing: a look needs no answer from whoever scores, and finds runs that people started by hand.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from mri_model.results.schema import incoming_folder, incoming_look, scoring_run
from mri_model.results.scoring_ledger import moment
from mri_model.results.store import Store
from mri_model.results.values import stored_rows

Row = Mapping[str, Any]

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
"""A scoring that failed is tried again after the first pause, then after twice as long each time."""

LATE = timedelta(minutes=10)
"""After so long without a look, or without the start of a scoring that is due, something is wrong."""


@dataclass(frozen=True)
class Arrived:
    """A folder whose scoring is to be started.

    Attributes:
        folder: Its path.
        listing: Digest of its listing.
        key: The same for each request to score this folder as it is, until one has failed.
    """

    folder: str
    listing: str
    key: str


@dataclass(frozen=True)
class Look:
    """What a look at the incoming folders found.

    Attributes:
        n_loose: Number of files directly among the folders, which are not scored.
        states: Number of folders by state.
        arrived: Folders to be started.
    """

    n_loose: int
    states: Mapping[str, int]
    arrived: Sequence[Arrived]

    def __str__(self) -> str:
        """The look in one line."""
        n = sum(self.states.values())
        parts = [f"{n} {'folder' if n == 1 else 'folders'}{f': {counted(self.states)}' if n else ''}"]
        if self.arrived:
            parts.append(f"due: {', '.join(Path(each.folder).name for each in self.arrived)}")
        return "; ".join([*parts, *([loose_files(self.n_loose)] if self.n_loose else [])])


@dataclass(frozen=True)
class LastLook:
    """The last look at the incoming folders.

    Attributes:
        age: Time since then.
        n_loose: As in ``Look``.
        states: As in ``Look``.
        late: Folders that should have been scored and were not → why.
        active: Whether one of them is being scored.
    """

    age: timedelta
    n_loose: int
    states: Mapping[str, int]
    late: Mapping[str, str]
    active: bool


def counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in sorted(states.items()))


def loose_files(n: int) -> str:
    return (
        "1 file or link that is in no folder is not scored"
        if n == 1
        else (f"{n} files or links that are in no folder are not scored")
    )


class IncomingLedger:
    """What is recorded of the folders in a folder of incoming folders.

    Args:
        store: The database.
        incoming: Path of the folder.
    """

    def __init__(self, store: Store, incoming: str) -> None:
        self._store, self._incoming = store, incoming

    def look(self, seen: Sequence[Row], n_loose: int, settle: timedelta) -> Look:
        """Record a look.

        Args:
            seen: Each folder there: ``folder``, ``listing``, ``n_files`` and ``newest_at``.
            n_loose: Number of files directly among them.
            settle: How long a folder must have been unchanged.
        """
        with self._store.writing() as connection:
            now = moment(connection)
            self._upsert(
                connection,
                incoming_look,
                {"incoming": self._incoming, "looked_at": now, "n_folders": len(seen), "n_loose": n_loose},
            )
            states, arrived = Counter[str](), []
            for each in seen:
                row = {**after_look(connection, each, now), "incoming": self._incoming}
                self._upsert(connection, incoming_folder, row)
                states[row["state"]] += 1
                if is_due(row, each["newest_at"], now, settle):
                    arrived.append(Arrived(row["folder"], row["listing"], key_of(row)))
            return Look(n_loose, states, arrived)

    def tried(self, arrived: Arrived, problem: str) -> str:
        """Record that the scoring of a folder was asked for.

        Args:
            problem: Why it failed; empty if it did not.

        Returns:
            The folder's state.
        """
        table = incoming_folder
        with self._store.writing() as connection:
            now = moment(connection)
            own = and_(table.c.folder == arrived.folder, table.c.listing == arrived.listing)
            if (found := first(connection, select(table).where(own))) is None:
                return "waiting"  # it has changed meanwhile
            row = with_run(found | attempt(found, problem, now), run_of(connection, found), now)
            self._upsert(connection, table, row)
            return str(row["state"])

    def last_look(self, settle: timedelta) -> LastLook | None:
        """The last look; None if there was none. Folders that are gone since are left out."""
        table = incoming_folder
        with self._store.reading() as connection:
            now = moment(connection)
            look = select(incoming_look).where(incoming_look.c.incoming == self._incoming)
            if (last := first(connection, look)) is None:
                return None
            there = and_(table.c.incoming == self._incoming, table.c.looked_at >= last["looked_at"])
            found = connection.execute(select(table).where(there).order_by(table.c.folder)).mappings().all()
            rows = [with_run(row, run_of(connection, row), now) for row in map(dict, found)]
            late = {row["folder"]: reason for row in rows if (reason := why_late(row, now, settle))}
            active = any(row["state"] == "started" and row["is_active"] for row in rows)
            states = Counter(row["state"] for row in rows)
            return LastLook(now - last["looked_at"], last["n_loose"], states, late, active)

    def _upsert(self, connection: Connection, table: Any, row: Row) -> None:
        known = {name: value for name, value in row.items() if name in table.columns}
        statement = self._store.insert(table).values(stored_rows(table, [known]))
        values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        connection.execute(statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values))


def after_look(connection: Connection, seen: Row, now: datetime) -> dict[str, Any]:
    """The row of a folder after it was seen; ``is_active`` says whether it is being scored."""
    query = select(incoming_folder).where(incoming_folder.c.folder == seen["folder"])
    before = first(connection, query)
    row = {"first_seen_at": now, **(before or {}), "looked_at": now, "n_files": seen["n_files"]}
    if before is None or before["listing"] != seen["listing"]:
        row |= {"folder": seen["folder"], "listing": seen["listing"], "changed_at": now, "state": "waiting"}
        row |= {"tried_at": None, "n_failures": 0, "run_id": None, "problem": None}
    return with_run(row, run_of(connection, row), now)


def run_of(connection: Connection, folder: Row) -> Row | None:
    """The scoring run of a folder as it is: a finished one if there is one, else the running one."""
    table = scoring_run
    query = select(table.c.id, table.c.status, table.c.active_until).where(
        table.c.folder == folder["folder"], table.c.listing == folder["listing"], table.c.status != "superseded"
    )
    newest = query.order_by(table.c.status, table.c.started_at.desc()).limit(1)
    return first(connection, newest)


def first(connection: Connection, query: Select[Any]) -> dict[str, Any] | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else {str(name): value for name, value in row.items()}


def with_run(row: dict[str, Any], run: Row | None, now: datetime) -> dict[str, Any]:
    """A folder's row with what its scoring run says, which counts more than what was recorded before."""
    row["is_active"] = run is not None and run["status"] == "running" and run["active_until"] > now
    if run is None:
        return row
    if run["status"] == "finished":
        return {**row, "state": "scored", "run_id": run["id"], "problem": None}
    if row["is_active"]:
        return {**row, "state": "started", "run_id": run["id"], "problem": None, "tried_at": row["tried_at"] or now}
    return {**row, "run_id": run["id"]}


def attempt(row: Row, problem: str, now: datetime) -> dict[str, Any]:
    """What changes in a folder's row when its scoring was asked for."""
    if problem:
        return {"state": "failed", "tried_at": now, "problem": problem, "n_failures": row["n_failures"] + 1}
    tried = row["tried_at"] if row["state"] == "started" else now
    return {"state": "started", "tried_at": tried, "problem": None}


def is_due(row: Row, newest_at: datetime, now: datetime, settle: timedelta) -> bool:
    """Whether the scoring of a folder is to be asked for now."""
    if row["state"] == "waiting":
        return row["changed_at"] < now and now - max(row["changed_at"], newest_at) >= settle
    if row["state"] == "failed":
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row["n_failures"] - 1, 10))
        return bool(now - row["tried_at"] >= pause)
    return row["state"] == "started" and not row["is_active"]


def key_of(row: Row) -> str:
    return f"{row['listing']}-{row['n_failures'] + 1}" if row["n_failures"] else str(row["listing"])


def why_late(row: Row, now: datetime, settle: timedelta) -> str:
    """Why a folder should have been scored and was not; empty if all is well."""
    if row["state"] == "failed":
        return str(row["problem"])
    if row["state"] == "started" and not row["is_active"] and now - row["tried_at"] > LATE:
        return "its scoring was started, but nobody works on it"
    if row["state"] == "waiting" and now - row["changed_at"] > settle + LATE:
        return "it is unchanged, but was not started"
    return ""
