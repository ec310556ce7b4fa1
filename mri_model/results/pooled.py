"""What the results database holds about a cross-validation: its models and the evaluation of all their predictions."""

from typing import Any

import pandas as pd
from sqlalchemy import select

from mri_model.results import schema
from mri_model.results.evaluated import first_row, read
from mri_model.results.store import Store


def sweep_kinds(store: Store) -> dict[str, str]:
    """Id → kind of each recorded sweep."""
    found = read(store, select(schema.sweep.c.id, schema.sweep.c.kind).order_by(schema.sweep.c.id))
    return dict(zip(found["id"], found["kind"], strict=True))


def pooled_evaluation(store: Store, sweep_id: str) -> dict[str, Any] | None:
    """The row of the newest pooled evaluation of a cross-validation; None if there is none."""
    table = schema.evaluation
    chosen = select(table).where(table.c.sweep_id == sweep_id)
    return first_row(read(store, chosen.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(1))) or None


def fold_models(store: Store, sweep_id: str) -> pd.DataFrame:
    """The rows of ``model`` of a sweep, in its order."""
    model, member = schema.model, schema.sweep_model
    chosen = select(model).join(member, member.c.model_id == model.c.id).where(member.c.sweep_id == sweep_id)
    return read(store, chosen.order_by(member.c.position, model.c.id))


def fold_evaluations(store: Store, sweep_id: str, dataset_digest: str) -> pd.DataFrame:
    """The rows of ``evaluation`` of the models of a sweep: the newest one of each on the test split of a data set."""
    table, member = schema.evaluation, schema.sweep_model
    members = select(member.c.model_id).where(member.c.sweep_id == sweep_id)
    chosen = select(table).where(
        table.c.model_id.in_(members), table.c.split == "test", table.c.dataset_digest == dataset_digest
    )
    found = read(store, chosen.order_by(table.c.created_at, table.c.id))
    return found.drop_duplicates("model_id", keep="last").reset_index(drop=True)
