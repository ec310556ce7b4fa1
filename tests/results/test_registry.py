import multiprocessing
from collections.abc import Iterator

import pytest

from mri_model.errors import MriError
from mri_model.results import registry, schema
from mri_model.results.store import Store
from tests.results import result_samples as samples


@pytest.fixture
def known(store: Store) -> Iterator[Store]:
    for name in ("m1", "m2", "m3"):
        samples.record_model(store, id=name)
    yield store


def history(store: Store) -> list[tuple[str, str]]:
    with store.reading() as connection:
        rows = connection.execute(schema.promotion.select().order_by(schema.promotion.c.id)).all()
    return [(row.model_id, row.stage) for row in rows]


def champion(store: Store) -> str | None:
    found = registry.find_champion(store)
    return found.model_id if found else None


def test_the_first_model_is_crowned_and_no_later_one(known: Store) -> None:
    assert champion(known) is None
    assert registry.crown_first(known, "m1")
    assert not registry.crown_first(known, "m2")
    assert not registry.crown_first(known, "m1")
    assert (champion(known), history(known)) == ("m1", [("m1", "champion")])


def test_a_promotion_retires_the_champion_and_keeps_the_history(known: Store) -> None:
    registry.crown_first(known, "m1")
    assert registry.promote(known, "m2", "better on T2") == "m1"
    assert registry.promote(known, "m1", "m2 was a mistake", ["it is worse", "it is a fold"]) == "m2"
    assert champion(known) == "m1"
    expected = [("m1", "champion"), ("m2", "champion"), ("m1", "retired"), ("m1", "champion"), ("m2", "retired")]
    assert history(known) == expected
    rows = known.query("history")
    assert rows["why"].iloc[1] == "m2 was a mistake"
    assert rows["who"].str.contains("@").all()


def test_only_the_row_of_a_model_that_the_gate_objected_to_is_forced(known: Store) -> None:
    registry.promote(known, "m1", "first")
    registry.promote(known, "m2", "needed", ["it is worse", "it is a fold"])
    rows = known.query("history")
    rows = rows.astype(object).where(rows.notna(), None)
    assert list(zip(rows["model_id"], rows["stage"], rows["forced"].astype(bool), rows["objections"], strict=True)) == [
        ("m1", "retired", False, None),
        ("m2", "champion", True, "it is worse; it is a fold"),
        ("m1", "champion", False, None),
    ]


def test_promoting_the_champion_again_changes_nothing(known: Store) -> None:
    registry.promote(known, "m2", "first")
    assert registry.promote(known, "m2", "again") is None
    assert history(known) == [("m2", "champion")]


def test_without_a_champion_no_model_is_crowned_by_itself_again(known: Store) -> None:
    registry.crown_first(known, "m1")
    with known.writing() as connection:
        registry.append(connection, "m1", "retired", "wrong labels")
    assert champion(known) is None
    assert not registry.crown_first(known, "m2")


def test_only_recorded_models_can_be_promoted(known: Store) -> None:
    with pytest.raises(MriError, match="no model absent is recorded"):
        registry.promote(known, "absent", "")
    assert history(known) == []


def crown(url: str, name: str, start: "multiprocessing.synchronize.Barrier") -> None:
    with Store.open(url) as store:
        start.wait()
        registry.crown_first(store, name)


@pytest.mark.slow
def test_of_models_that_are_trained_at_once_one_is_crowned(known: Store, url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=crown, args=(url, f"m{n}", start)) for n in (1, 2, 3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(history(known)) == 1
