"""Sweeps get tables of their own and evaluations; a training can be stopped; near duplicates are called that."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)

RENAMED = {
    "twin_free_n": ("duplicate_free_n", "{} >= 0"),
    "twin_free_accuracy": ("duplicate_free_accuracy", "{} BETWEEN 0 AND 1"),
    "twin_free_macro_f1": ("duplicate_free_macro_f1", "{} BETWEEN 0 AND 1"),
}

old_model = sa.table(
    "model",
    sa.column("id", TEXT),
    sa.column("sweep_id", TEXT),
    sa.column("recipe", sa.JSON()),
    sa.column("created_at", MOMENT),
)


def upgrade() -> None:
    sweep, sweep_model = create_tables()
    fill(op.get_bind(), sweep, sweep_model)
    alter_model()
    alter_evaluation()


def create_tables() -> tuple[sa.Table, sa.Table]:
    sweep = op.create_table(
        "sweep",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep")),
        sa.CheckConstraint("kind IN ('sizes', 'seeds', 'folds')", name=op.f("ck_sweep_kind")),
    )
    sweep_model = op.create_table(
        "sweep_model",
        sa.Column("sweep_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sweep_id", "model_id", name=op.f("pk_sweep_model")),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweep.id"], name=op.f("fk_sweep_model_sweep_id_sweep")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_sweep_model_model_id_model")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_sweep_model_position")),
    )
    return sweep, sweep_model


def fill(connection: sa.Connection, sweep: sa.Table, sweep_model: sa.Table) -> None:
    """Models with a common ``sweep_id`` become a sweep; a model alone had its own id there."""
    members: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(old_model).order_by(old_model.c.created_at, old_model.c.id)):
        if row.sweep_id != row.id:
            members[row.sweep_id].append(row)
    for sweep_id, rows in members.items():
        values = {"id": sweep_id, "kind": kind(sweep_id, rows), "recorded_at": rows[-1].created_at}
        connection.execute(sweep.insert().values(values))
        places = [{"sweep_id": sweep_id, "model_id": row.id, "position": place} for place, row in enumerate(rows)]
        connection.execute(sweep_model.insert(), places)


def kind(sweep_id: str, rows: list[Any]) -> str:
    if sweep_id.startswith("sweep"):
        return "sizes"
    return "folds" if any((row.recipe or {}).get("folds") for row in rows) else "seeds"


def alter_model() -> None:
    with op.batch_alter_table("model") as batch:
        batch.drop_column("sweep_id")
        batch.drop_constraint(op.f("ck_model_status"), type_="check")
        batch.create_check_constraint(op.f("ck_model_status"), "status IN ('training', 'trained', 'stopped')")


def alter_evaluation() -> None:
    with op.batch_alter_table("evaluation") as batch:
        for old, (new, condition) in RENAMED.items():
            batch.drop_constraint(op.f(f"ck_evaluation_{old}"), type_="check")
            batch.alter_column(old, new_column_name=new)
            batch.create_check_constraint(op.f(f"ck_evaluation_{new}"), condition.format(new))
        batch.alter_column("model_id", nullable=True)
        batch.add_column(sa.Column("sweep_id", TEXT, nullable=True))
        batch.create_foreign_key(op.f("fk_evaluation_sweep_id_sweep"), "sweep", ["sweep_id"], ["id"])
        batch.create_check_constraint(op.f("ck_evaluation_model_or_sweep"), "(model_id IS NULL) <> (sweep_id IS NULL)")
