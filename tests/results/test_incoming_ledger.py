"""What is recorded of incoming folders: when each is due, and what became of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from mri_model.results import incoming_ledger, schema
from mri_model.results.incoming_ledger import Arrived, IncomingLedger, Look
from mri_model.results.store import Store
from tests.results import result_samples as samples

SETTLE = timedelta(minutes=1)


class Clock:
    """Minutes since the start of the samples."""

    minute = 0.0

    def moment(self, connection: Connection) -> datetime:
        return samples.later(self.minute)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(incoming_ledger, "moment", clock.moment)
    yield clock


@pytest.fixture
def ledger(store: Store, clock: Clock) -> IncomingLedger:
    samples.record_model(store)
    return IncomingLedger(store, "/in")


def seen(listing: str = "l1", folder: str = "/in/a", newest: float = -5) -> dict[str, Any]:
    return {"folder": folder, "listing": listing, "n_files": 3, "newest_at": samples.later(newest)}


def look(ledger: IncomingLedger, clock: Clock, minute: float, *rows: dict[str, Any]) -> Look:
    clock.minute = minute
    return ledger.look(rows or [seen()], 0, SETTLE)


def keys(look: Look) -> list[str]:
    return [each.key for each in look.arrived]


def record_run(store: Store, status: str, **changes: Any) -> None:
    row = {"folder": "/in/a", "listing": "l1", "status": status, "n_found": 3, "n_scored": 2, "n_rejected": 1}
    samples.record_run(store, **{**row, **changes})


def answered(store: Store) -> dict[str, Any]:
    (row,) = store.query("incoming").to_dict("records")
    return row


def test_a_folder_is_due_when_two_looks_saw_the_same_and_it_is_a_minute_old(
    ledger: IncomingLedger, clock: Clock
) -> None:
    assert keys(look(ledger, clock, 0)) == []
    assert keys(look(ledger, clock, 0.5)) == []
    settled = look(ledger, clock, 1)
    assert settled.arrived == [Arrived("/in/a", "l1", "l1")]
    assert str(settled) == "1 folder: 1 waiting; due: a"


def test_a_folder_that_grows_is_not_due(ledger: IncomingLedger, clock: Clock) -> None:
    for minute, listing in enumerate(["l1", "l2", "l3", "l4"]):
        assert keys(look(ledger, clock, 2 * minute, seen(listing))) == []
    assert keys(look(ledger, clock, 8, seen("l4"))) == ["l4"]


def test_a_folder_with_a_young_file_is_not_due(ledger: IncomingLedger, clock: Clock) -> None:
    look(ledger, clock, 0)
    assert keys(look(ledger, clock, 5, seen(newest=4.5))) == []
    assert keys(look(ledger, clock, 5.5, seen(newest=4.5))) == ["l1"]


def test_without_a_settle_time_it_still_takes_two_looks(ledger: IncomingLedger, clock: Clock) -> None:
    assert not ledger.look([seen()], 0, timedelta()).arrived
    clock.minute = 0.01
    assert ledger.look([seen(newest=0.01)], 0, timedelta()).arrived


def test_a_started_folder_is_asked_for_with_the_same_key_until_somebody_works_on_it(
    store: Store, ledger: IncomingLedger, clock: Clock
) -> None:
    look(ledger, clock, 0)
    (arrived,) = look(ledger, clock, 1).arrived
    assert ledger.tried(arrived, "") == "started"
    assert keys(look(ledger, clock, 2)) == ["l1"]
    record_run(store, "running", active_until=samples.later(4))
    assert keys(look(ledger, clock, 3)) == []
    assert (answered(store)["state"], answered(store)["run_id"]) == ("started", "r1")
    assert keys(look(ledger, clock, 5)) == ["l1"], "its worker has died"


def test_a_scored_folder_is_not_due_again_until_it_changes(store: Store, ledger: IncomingLedger, clock: Clock) -> None:
    record_run(store, "finished")
    for minute in (0, 5, 10):
        assert str(look(ledger, clock, minute)) == "1 folder: 1 scored"
    row = answered(store)
    assert [row[name] for name in ("state", "n_scored", "n_rejected", "run_id")] == ["scored", 2, 1, "r1"]
    assert keys(look(ledger, clock, 11, seen("l2"))) == []
    assert keys(look(ledger, clock, 12, seen("l2"))) == ["l2"]


def test_a_scored_folder_whose_run_is_deleted_is_not_scored_again(
    store: Store, ledger: IncomingLedger, clock: Clock
) -> None:
    record_run(store, "finished")
    look(ledger, clock, 0)
    with store.writing() as connection:
        connection.execute(schema.scoring_run.delete())
    assert str(look(ledger, clock, 5)) == "1 folder: 1 scored"


def test_a_failed_folder_is_tried_again_with_a_new_key_after_longer_and_longer_pauses(
    store: Store, ledger: IncomingLedger, clock: Clock
) -> None:
    look(ledger, clock, 0)
    (arrived,) = look(ledger, clock, 1).arrived
    pauses = [5, 10, 20, 40, 80, 160, 320, 360, 360]
    for number, pause in enumerate(pauses, start=2):
        assert ledger.tried(arrived, "the disk is full") == "failed"
        assert keys(look(ledger, clock, clock.minute + pause - 0.1)) == []
        (arrived,) = look(ledger, clock, clock.minute + 0.2).arrived
        assert arrived.key == f"l1-{number}"
    row = answered(store)
    assert [row[name] for name in ("state", "problem", "n_failures")] == ["failed", "the disk is full", len(pauses)]
    assert ledger.tried(arrived, "") == "started"
    assert keys(look(ledger, clock, clock.minute + 1)) == [arrived.key]


def test_a_failure_to_score_a_listing_that_has_changed_since_says_nothing_about_the_new_one(
    ledger: IncomingLedger, clock: Clock
) -> None:
    look(ledger, clock, 0)
    (arrived,) = look(ledger, clock, 1).arrived
    look(ledger, clock, 2, seen("l2"))
    assert ledger.tried(arrived, "it has changed") == "waiting"
    assert look(ledger, clock, 3, seen("l2")).states == {"waiting": 1}


def test_a_run_that_finished_counts_although_its_flow_run_failed(
    store: Store, ledger: IncomingLedger, clock: Clock
) -> None:
    look(ledger, clock, 0)
    (arrived,) = look(ledger, clock, 1).arrived
    record_run(store, "finished", n_scored=0, n_rejected=3)
    assert ledger.tried(arrived, "none of 3 files could be scored") == "scored"
    assert answered(store)["problem"] is None


def test_the_last_look_names_what_should_have_been_scored_and_was_not(
    store: Store, ledger: IncomingLedger, clock: Clock
) -> None:
    assert ledger.last_look(SETTLE) is None
    names = ("failed", "lost", "slow", "gone", "good")
    rows = {name: seen(name, f"/in/{name}") for name in names}
    look(ledger, clock, 0, *rows.values())
    arrived = {each.listing: each for each in look(ledger, clock, 1, *rows.values()).arrived}
    ledger.tried(arrived["failed"], "no space")
    ledger.tried(arrived["gone"], "no space")
    ledger.tried(arrived["lost"], "")
    record_run(store, "finished", id="good", folder="/in/good", listing="good")
    del rows["gone"]
    look(ledger, clock, 13, *rows.values())
    clock.minute = 14
    last = ledger.last_look(SETTLE)
    assert last is not None
    assert (last.age, last.active) == (timedelta(minutes=1), False)
    assert last.late == {
        "/in/failed": "no space",
        "/in/lost": "its scoring was started, but nobody works on it",
        "/in/slow": "it is unchanged, but was not started",
    }
    record_run(store, "running", id="r", folder="/in/lost", listing="lost", active_until=samples.later(20))
    again = ledger.last_look(SETTLE)
    assert again is not None and "/in/lost" not in again.late and again.active


def test_a_look_at_no_folders_is_recorded_too(store: Store, ledger: IncomingLedger, clock: Clock) -> None:
    assert "MRI_INCOMING" in store.ask("incoming").reason
    ledger.look([], 2, SETTLE)
    row = answered(store)
    assert (row["folder"], row["last_look_at"].to_pydatetime(), row["n_loose"]) == (None, samples.START, 2)
    assert str(ledger.look([], 2, SETTLE)) == "0 folders; 2 files or links that are in no folder are not scored"


def test_the_key_names_the_listing_and_nothing_else(ledger: IncomingLedger, clock: Clock) -> None:
    look(ledger, clock, 0)
    (arrived,) = look(ledger, clock, 1).arrived
    assert arrived == replace(arrived, key=arrived.listing)
