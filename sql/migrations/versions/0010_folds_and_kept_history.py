"""Models say which fold they are; promotions keep the gate's objections, and stay when their model is deleted."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

model = sa.table(
    "model",
    sa.column("id", TEXT),
    sa.column("recipe", sa.JSON()),
    sa.column("fold", sa.Integer()),
    sa.column("folds", sa.Integer()),
)
promotion = sa.table("promotion", sa.column("stage", TEXT), sa.column("forced", sa.Boolean()))


def upgrade() -> None:
    add_folds()
    fill_folds(op.get_bind())
    alter_promotion()
    op.execute(promotion.update().where(promotion.c.stage == "retired").values(forced=False))


def add_folds() -> None:
    """Add the checks within the columns' definitions: SQLite can do that without rebuilding the table."""
    for name in ("fold", "folds"):
        check = sa.CheckConstraint(f"{name} > 0", name=op.f(f"ck_model_{name}"))
        op.add_column("model", sa.Column(name, sa.Integer(), check, nullable=True))


def fill_folds(connection: sa.Connection) -> None:
    for row in connection.execute(sa.select(model.c.id, model.c.recipe)).all():
        if values := fold_of(row.recipe):
            connection.execute(model.update().where(model.c.id == row.id).values(values))


def fold_of(recipe: Any) -> dict[str, int]:
    """The columns of a fold of a cross-validation; empty for other models."""
    values = {name: recipe.get(name) for name in ("fold", "folds")} if isinstance(recipe, dict) else {}
    return values if values and all(isinstance(each, int) and each > 0 for each in values.values()) else {}


def alter_promotion() -> None:
    with op.batch_alter_table("promotion") as batch:
        batch.drop_constraint(op.f("fk_promotion_model_id_model"), type_="foreignkey")
        batch.drop_constraint(op.f("ck_promotion_stage"), type_="check")
        batch.create_check_constraint(
            op.f("ck_promotion_stage"), "stage IN ('candidate', 'champion', 'retired', 'deleted')"
        )
        batch.add_column(sa.Column("objections", TEXT, nullable=True))
