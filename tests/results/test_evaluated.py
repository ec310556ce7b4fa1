"""What a report page reads: the newest test evaluation of a model with its tables, and the sizes beside it."""

from mri_model.results import evaluated
from mri_model.results.store import Store
from tests.results import result_samples as samples


def test_the_newest_evaluation_of_the_test_split_is_read(store: Store) -> None:
    samples.record_model(store)
    assert evaluated.latest_evaluation(store, "m1") is None
    samples.record_evaluation(store, id="a", split="all", created_at=samples.later(9))
    found = evaluated.latest_evaluation(store, "m1")
    assert found and found["id"] == "a"
    for number, split in enumerate(("test", "test", "val"), start=1):
        samples.record_evaluation(store, id=f"e{number}", split=split, created_at=samples.later(number))
    found = evaluated.latest_evaluation(store, "m1")
    assert found and (found["id"], found["n"], found["unlike_n"]) == ("e2", 672, None)
    assert found["created_at"] == samples.later(2)
    assert evaluated.latest_evaluation(store, "m2") is None


def test_each_table_has_the_rows_of_one_evaluation(store: Store) -> None:
    samples.record_model(store)
    samples.record_evaluation(store)
    samples.record_evaluation(store, id="e2")
    tables = evaluated.evaluation_tables(store, "e1")
    assert {name: len(rows) for name, rows in tables.items()} == {
        "classes": 44,
        "contrasts": 3,
        "similarities": 3,
        "confusion": 3,
        "images": 3,
    }
    assert tables["classes"]["position"].tolist() == list(range(44))
    assert all(rows.empty for rows in evaluated.evaluation_tables(store, "none").values())


def test_the_data_set_is_read_with_its_classes(store: Store) -> None:
    samples.record_data(store)
    row, classes = evaluated.recorded_dataset(store, "d1")
    assert (row["n_ok"], row["profile"], len(classes), classes["n_ok"].sum()) == (4479, "brain-tumor-44c", 44, 4479)


def test_the_sizes_are_those_of_the_newest_sweep_of_sizes(store: Store) -> None:
    samples.record_model(store)
    for number, size in ((2, 256), (3, 64), (4, 64)):
        store.record_model(samples.model(id=f"m{number}", image_size=size), samples.epochs())
    store.record_model(samples.model(id="m5", image_size=32, status="training"), samples.epochs())
    assert evaluated.compared_sizes(store, "m1")["id"].tolist() == ["m1"]
    store.record_sweep({"id": "sizes-1", "kind": "sizes", "recorded_at": samples.later(1)}, ["m1", "m4"])
    store.record_sweep({"id": "sizes-2", "kind": "sizes", "recorded_at": samples.later(2)}, ["m1", "m2", "m3", "m5"])
    store.record_sweep({"id": "seeds-1", "kind": "seeds", "recorded_at": samples.later(3)}, ["m1", "m4"])
    assert evaluated.compared_sizes(store, "m1")["id"].tolist() == ["m3", "m1", "m2"]
    assert evaluated.compared_sizes(store, "m4")["id"].tolist() == ["m4", "m1"]
