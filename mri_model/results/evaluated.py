"""What the results database holds about one model: its newest test evaluation, its data set and its sweep."""

from typing import Any

import pandas as pd
from sqlalchemy import Column, Select, Table, select

from mri_model.results import schema
from mri_model.results.store import Store

TESTED = ("test", "all")
"""Splits that hold images the model has not seen, the preferred one first."""

EVALUATION_TABLES = {
    "classes": schema.class_metric,
    "contrasts": schema.contrast_metric,
    "similarities": schema.similarity_metric,
    "confusion": schema.confusion,
    "images": schema.evaluated_image,
}
"""Name in the answer of ``evaluation_tables`` → table."""


def latest_evaluation(store: Store, model_id: str) -> dict[str, Any] | None:
    """The row of the newest evaluation of a model on its test split, else on all images of a data set.

    Returns:
        Column name → value; None if the model has not been evaluated on either.
    """
    table = schema.evaluation
    for split in TESTED:
        chosen = select(table).where(table.c.model_id == model_id, table.c.split == split)
        rows = read(store, chosen.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(1))
        if len(rows):
            return first_row(rows)
    return None


def evaluation_tables(store: Store, evaluation_id: str) -> dict[str, pd.DataFrame]:
    """The rows of each table of ``EVALUATION_TABLES`` that belong to an evaluation, in the order of their keys."""
    return {
        name: read(store, of_owner(table, table.c.evaluation_id, evaluation_id))
        for name, table in EVALUATION_TABLES.items()
    }


def recorded_dataset(store: Store, digest: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """The row of a recorded data set, and those of its classes in order."""
    table = schema.dataset_class
    rows = read(store, select(schema.dataset).where(schema.dataset.c.digest == digest))
    return first_row(rows), read(store, of_owner(table, table.c.dataset_digest, digest))


def compared_sizes(store: Store, model_id: str) -> pd.DataFrame:
    """The trained models of the newest sweep of image sizes that a model belongs to, smallest first.

    Without such a sweep, the model alone.
    """
    model, sweep, member = schema.model, schema.sweep, schema.sweep_model
    newest = (
        select(sweep.c.id)
        .join(member, member.c.sweep_id == sweep.c.id)
        .where(member.c.model_id == model_id, sweep.c.kind == "sizes")
        .order_by(sweep.c.recorded_at.desc(), sweep.c.id.desc())
        .limit(1)
    )
    others = select(member.c.model_id).where(member.c.sweep_id.in_(newest))
    chosen = select(model).where(model.c.status == "trained", (model.c.id == model_id) | model.c.id.in_(others))
    return read(store, chosen.order_by(model.c.image_size, model.c.created_at, model.c.id))


def of_owner(table: Table, column: Column[Any], owner: str) -> Select[Any]:
    """All rows of a table that belong to ``owner``, in the order of its key."""
    return select(table).where(column == owner).order_by(*table.primary_key.columns)


def read(store: Store, query: Select[Any]) -> pd.DataFrame:
    """The answer to a query; missing values are None or NaN."""
    with store.reading() as connection:
        result = connection.execute(query)
        return pd.DataFrame(result.all(), columns=list(result.keys()))


def first_row(rows: pd.DataFrame) -> dict[str, Any]:
    """Column name → value of the first row, with None for missing values; empty if there is none."""
    plain = rows.astype(object).where(rows.notna(), None)
    return {str(name): value for name, value in plain.iloc[0].items()} if len(rows) else {}
