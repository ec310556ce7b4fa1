"""What the page of a cross-validation reads."""

from mri_model.results import pooled
from mri_model.results.store import Store
from tests.results import result_samples as samples


def record_folds(store: Store) -> None:
    """A cross-validation of m1 and m2, in the order m2, m1; m1 was tested twice."""
    samples.record_model(store)
    store.record_model(samples.model(id="m2"), samples.epochs())
    store.record_sweep({"id": "folds-1", "kind": "folds", "recorded_at": samples.later(1)}, ["m2", "m1"])
    store.record_sweep({"id": "seeds-1", "kind": "seeds", "recorded_at": samples.later(2)}, ["m1"])
    for number, name in enumerate(("m1", "m2", "m1"), start=1):
        samples.record_evaluation(store, id=f"e{number}", model_id=name, created_at=samples.later(number))
    samples.record_evaluation(store, id="val", model_id="m1", split="val", created_at=samples.later(9))


def test_the_newest_pooled_evaluation_is_read(store: Store) -> None:
    record_folds(store)
    assert pooled.pooled_evaluation(store, "folds-1") is None
    for number in (1, 2):
        created = samples.later(number)
        samples.record_evaluation(store, id=f"p{number}", model_id=None, sweep_id="folds-1", created_at=created)
    found = pooled.pooled_evaluation(store, "folds-1")
    assert found and (found["id"], found["sweep_id"], found["model_id"]) == ("p2", "folds-1", None)
    assert pooled.pooled_evaluation(store, "folds-2") is None


def test_the_models_have_the_order_of_the_folds_and_their_newest_test(store: Store) -> None:
    record_folds(store)
    assert pooled.sweep_kinds(store) == {"folds-1": "folds", "seeds-1": "seeds"}
    assert pooled.fold_models(store, "folds-1")["id"].tolist() == ["m2", "m1"]
    found = pooled.fold_evaluations(store, "folds-1", "d1")
    assert dict(zip(found["model_id"], found["id"], strict=True)) == {"m2": "e2", "m1": "e3"}
    assert pooled.fold_evaluations(store, "folds-1", "d2").empty
