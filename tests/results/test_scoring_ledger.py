"""Shards are leased, and each is committed once, by whoever holds it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mri_model.errors import MriError
from mri_model.results import schema, scoring_ledger
from mri_model.results.scoring_ledger import ScoringLedger
from mri_model.results.store import Store
from tests.results import result_samples as samples


@pytest.fixture
def ledger(store: Store) -> ScoringLedger:
    samples.record_model(store)
    return ScoringLedger(store, "m1")


@pytest.fixture
def expired(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the leases that are taken from then on expire at once."""
    return lambda: monkeypatch.setattr(scoring_ledger, "LEASE", timedelta(seconds=-1))


def start(ledger: ScoringLedger, run: str = "r1", listing: str = "l1", sizes: tuple[int, ...] = (2, 1)) -> str:
    return ledger.start({"id": run, "folder": "/in", "listing": listing, "n_found": sum(sizes)}, sizes)


def scored(*names: str) -> list[dict[str, Any]]:
    rows = [samples.prediction(f"/in/{name}") for name in names]
    return [{key: value for key, value in row.items() if key != "run_id"} for row in rows]


def found(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["path"], row["sha256"]) for row in rows]


def commit(ledger: ScoringLedger, shard: tuple[int, int], *names: str, run: str = "r1") -> list[dict[str, Any]] | None:
    """The rows that were to be kept, None if the shard was another worker's."""
    kept: list[dict[str, Any]] = []
    rows = scored(*names)
    return kept if ledger.commit(run, shard, rows, found(rows), kept.extend) else None


def predictions(store: Store) -> list[tuple[str, str]]:
    with store.reading() as connection:
        table = schema.prediction
        return [tuple(row) for row in connection.execute(select(table.c.path, table.c.run_id).order_by(table.c.path))]


def runs(store: Store) -> dict[str, str]:
    with store.reading() as connection:
        table = schema.scoring_run
        return {row.id: row.status for row in connection.execute(select(table.c.id, table.c.status))}


def test_each_shard_is_claimed_by_one_worker_and_a_run_ends_with_its_counts(
    store: Store, ledger: ScoringLedger
) -> None:
    start(ledger)
    first, second = ledger.claim("r1", "w1"), ledger.claim("r1", "w2")
    assert (first, second, ledger.claim("r1", "w3")) == ((0, 1), (1, 1), None)
    assert ledger.leases("r1") == [(0, 1, "w1"), (1, 1, "w2")]
    assert commit(ledger, (0, 1), "a", "b") and ledger.progress("r1") == (2, 1)
    assert commit(ledger, (1, 1), "c") and ledger.progress("r1") == (3, 0)
    assert ledger.fences("r1") == [1, 1]
    row = ledger.finish("r1")
    assert [row[name] for name in ("status", "n_found", "n_scored", "n_reused")] == ["finished", 3, 3, 0]
    assert ledger.finish("r1") == row
    assert ledger.progress("r1") == (0, 0)


def test_series_are_recorded_once_with_the_end_of_the_run_and_go_with_it(store: Store, ledger: ScoringLedger) -> None:
    start(ledger, sizes=(1,))
    assert (ledger.running("/in", "l1"), ledger.running("/in", "l2"), ledger.running("/", "l1")) == ("r1", None, None)
    shard = ledger.claim("r1", "w")
    assert shard and commit(ledger, shard, "a")
    rows = [samples.series_prediction(name, probability=0.5) for name in ("s1", "s2")]

    def fail(waiting: Sequence[Any]) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.finish("r1", fail, rows)
    assert (series(store), runs(store)) == ([], {"r1": "running"}), "all or nothing"
    assert ledger.finish("r1", None, rows)["status"] == "finished"
    ledger.finish("r1", None, [samples.series_prediction("late")])
    assert series(store) == ["s1", "s2"] and ledger.running("/in", "l1") is None
    assert ScoringLedger(store, "m2").running("/in", "l1") is None


def series(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.scalars(select(schema.series_prediction.c.series).order_by("series")))


@dataclass(frozen=True)
class Found:
    """What a comparison with the validation images found."""

    state: str
    n_runs: int = 1
    waiting: dict[str, Any] | None = None

    def as_row(self) -> dict[str, Any]:
        row = {"drift": self.state, "drift_reason": "why", "drift_images": 3, "drift_sources": 2}
        return {**row, "drift_waiting": self.waiting}

    def metrics(self) -> list[dict[str, Any]]:
        if self.state == "waiting":
            return []
        return [{"statistic": "label", "distance": 0.5, "expected": 0.1, "p_value": 0.001, "differs": True}]


def finish(ledger: ScoringLedger, run: str, state: str, n_runs: int = 1) -> list[Any]:
    """Start and finish a run of one file; returns what the waiting runs had kept."""
    given: list[Any] = []

    def check(waiting: Sequence[Any]) -> Any:
        given.extend(waiting)
        return Found(state, n_runs, {"of": run} if state == "waiting" else None)

    start(ledger, run, listing=run, sizes=(1,))
    shard = ledger.claim(run, "w")
    assert shard and commit(ledger, shard, run, run=run) is not None
    ledger.finish(run, check)
    assert ledger.finish(run, check)["drift"] == state, "a finished run is not tested again"
    return given


def drifts(store: Store) -> dict[str, tuple[Any, ...]]:
    with store.reading() as connection:
        table = schema.scoring_run
        columns = (table.c.id, table.c.drift, table.c.drift_reason, table.c.drift_waiting)
        return {row.id: tuple(row)[1:] for row in connection.execute(select(*columns))}


def test_small_runs_wait_until_they_are_tested_together_and_all_have_the_result(
    store: Store, ledger: ScoringLedger
) -> None:
    assert finish(ledger, "r1", "waiting") == []
    assert finish(ledger, "r2", "waiting") == [{"of": "r1"}]
    store.record_model(samples.model(id="m2"), [])
    assert finish(ScoringLedger(store, "m2"), "other", "waiting") == [], "another model's runs"
    both = [{"of": "r1"}, {"of": "r2"}]
    assert finish(ledger, "large", "no") == both
    assert drifts(store)["r1"] == ("waiting", "why", {"of": "r1"}), "a run that is tested alone leaves them waiting"
    assert finish(ledger, "r3", "yes", n_runs=3) == both
    assert finish(ledger, "r4", "waiting") == []
    assert drifts(store) == {
        **dict.fromkeys(("r1", "r2", "r3"), ("yes", "why", None)),
        "large": ("no", "why", None),
        "r4": ("waiting", "why", {"of": "r4"}),
        "other": ("waiting", "why", {"of": "other"}),
    }
    with store.reading() as connection:
        rows = connection.execute(select(schema.drift_metric.c.run_id)).scalars()
        assert sorted(rows) == ["large", "r1", "r2", "r3"]


def test_answers_below_a_folder_are_counted(store: Store, ledger: ScoringLedger) -> None:
    start(ledger, sizes=(3,))
    shard = ledger.claim("r1", "w")
    assert shard and commit(ledger, shard, "a", "b/c", "inner/d")
    assert [ledger.count_known(each) for each in ("/in", "/in/", "/in/b", "/i", "/")] == [3, 3, 1, 0, 3]
    assert ledger.count_known("/in", risk=0.1) == 0


def test_a_late_worker_cannot_commit_a_shard_that_another_took_over(
    store: Store, ledger: ScoringLedger, expired: Callable[[], None]
) -> None:
    start(ledger)
    expired()
    assert [ledger.claim("r1", worker) for worker in ("late", "quick")] == [(0, 1), (0, 2)]
    assert commit(ledger, (0, 1), "a") is None
    assert predictions(store) == []
    assert commit(ledger, (0, 2), "a", "b") is not None
    assert commit(ledger, (0, 1), "z") is None
    assert predictions(store) == [("/in/a", "r1"), ("/in/b", "r1")]


def test_a_commit_whose_answer_was_lost_is_repeated_without_harm(store: Store, ledger: ScoringLedger) -> None:
    start(ledger)
    shard = ledger.claim("r1", "w")
    assert shard
    assert len(commit(ledger, shard, "a", "b") or []) == 2
    assert commit(ledger, shard, "a", "b") == []
    assert len(predictions(store)) == 2


def test_an_error_while_rows_are_kept_on_disk_records_nothing(store: Store, ledger: ScoringLedger) -> None:
    start(ledger)
    shard = ledger.claim("r1", "w")
    assert shard

    def full(rows: list[dict[str, Any]]) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        ledger.commit("r1", shard, scored("a"), found(scored("a")), full)
    assert (predictions(store), ledger.progress("r1")) == ([], (0, 2))


def test_a_renewed_lease_stays_and_a_released_shard_is_free(ledger: ScoringLedger, expired: Callable[[], None]) -> None:
    start(ledger, sizes=(1,))
    assert ledger.claim("r1", "w1") == (0, 1)
    ledger.renew("r1", [(0, 1)])
    assert ledger.claim("r1", "w2") is None
    ledger.release("r1", 0, 7)
    assert ledger.claim("r1", "w2") is None
    ledger.release("r1", 0, 1)
    assert ledger.claim("r1", "w2") == (0, 2)


def test_who_starts_the_same_folder_joins_and_a_changed_one_supersedes_what_was_interrupted(
    store: Store, ledger: ScoringLedger, expired: Callable[[], None]
) -> None:
    assert start(ledger) == "r1"
    assert start(ledger, "r2") == "r1"
    assert start(ledger, "r3", "changed") == "r3"
    assert runs(store) == {"r1": "running", "r3": "running"}, "both are worked on"
    expired()
    assert ledger.claim("r1", "w") and ledger.claim("r3", "w")
    assert start(ledger, "r4", "changed again") == "r4"
    assert runs(store) == {"r1": "superseded", "r3": "superseded", "r4": "running"}
    assert ledger.ended(["r1", "r4", "unknown"]) == ["r1"]
    assert commit(ledger, (0, 1), "a") is None
    assert ledger.finish("r1")["status"] == "superseded"
    with pytest.raises(MriError, match="run r9 was deleted"):
        ledger.finish("r9")


def test_a_known_file_keeps_its_row_and_a_rejected_one_is_tried_again(store: Store, ledger: ScoringLedger) -> None:
    start(ledger, sizes=(3,))
    shard = ledger.claim("r1", "w")
    assert shard
    rows = [*scored("a"), {**samples.unreadable("/in/bad"), "run_id": None}]
    assert ledger.commit("r1", shard, rows, found(rows), lambda kept: None)
    ledger.finish("r1")
    assert ledger.known(["/in/a", "/in/bad", "/in/c"]) == {("/in/a", scored("a")[0]["sha256"])}

    start(ledger, "r2", sizes=(3,))
    shard = ledger.claim("r2", "w")
    assert shard
    again = [*scored("a", "c"), {**samples.unreadable("/in/bad", reason="gone"), "run_id": None}]
    kept: list[dict[str, Any]] = []
    assert ledger.commit("r2", shard, again, found(again), kept.extend)
    assert predictions(store) == [("/in/a", "r1"), ("/in/bad", "r2"), ("/in/c", "r2")]
    assert {row["path"]: row["reason"] for row in kept}["/in/bad"] == "gone"
    row = ledger.finish("r2")
    assert [row[name] for name in ("n_scored", "n_rejected", "n_reused")] == [2, 1, 1]


def test_a_run_is_joined_by_its_id_with_its_own_model_only(store: Store, ledger: ScoringLedger) -> None:
    start(ledger)
    assert ledger.run("r1")["n_found"] == 3
    with pytest.raises(MriError, match="r1 scores with m1, not m2"):
        ScoringLedger(store, "m2").run("r1")
    with pytest.raises(MriError, match="no scoring run r2"):
        ledger.run("r2")


def test_a_prediction_for_another_risk_is_not_known_and_is_replaced(store: Store, ledger: ScoringLedger) -> None:
    start(ledger, sizes=(1,))
    shard = ledger.claim("r1", "w")
    assert shard and commit(ledger, shard, "a")
    ledger.finish("r1")
    assert ledger.known(["/in/a"]) and not ledger.known(["/in/a"], 0.05)

    start(ledger, "r2", "l1-risk-0.05", sizes=(1,))
    shard = ledger.claim("r2", "w")
    assert shard
    rows = [row | {"risk": 0.05, "status": "abstained", "reason": "too uncertain"} for row in scored("a")]
    kept: list[dict[str, Any]] = []
    assert ledger.commit("r2", shard, rows, found(rows), kept.extend)
    assert [(row["run_id"], row["status"], row["risk"]) for row in kept] == [("r2", "abstained", 0.05)]
    assert ledger.known(["/in/a"], 0.05) and not ledger.known(["/in/a"]) and not ledger.known(["/in/a"], 0.1)
    row = ledger.finish("r2")
    assert [row[name] for name in ("n_scored", "n_abstained", "n_reused")] == [0, 1, 0]
