"""Predictions say which series and patient an image is of; each series of a scoring run has a result of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("series", "patient"):
        op.add_column("prediction", sa.Column(name, TEXT, nullable=True))
    op.add_column("prediction", sa.Column("probabilities", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "series_prediction",
        *(sa.Column(name, TEXT, nullable=False) for name in ("run_id", "series", "model_id")),
        sa.Column("patient", TEXT, nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        sa.Column("status", TEXT, nullable=False),
        *(sa.Column(name, TEXT, nullable=True) for name in ("reason", "label", "tumor", "contrast")),
        *(sa.Column(name, sa.Double(), nullable=True) for name in SHARES),
        sa.Column("top5", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("distance", sa.Double(), nullable=True),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "series", name=op.f("pk_series_prediction")),
        *(foreign_key(name, table) for name, table in (("run_id", "scoring_run"), ("model_id", "model"))),
        *(sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_series_prediction_{name}")) for name in COUNTS),
        *(sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_series_prediction_{name}")) for name in SHARES),
        sa.CheckConstraint("status IN ('scored', 'abstained', 'rejected')", name=op.f("ck_series_prediction_status")),
    )


COUNTS = ("n_images", "n_scored", "n_abstained", "n_rejected")
SHARES = ("probability", "tumor_probability", "contrast_probability", "risk")


def foreign_key(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_series_prediction_{column}_{table}"))
