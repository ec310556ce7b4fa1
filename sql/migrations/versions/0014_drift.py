"""Scoring runs are compared with the validation images of their model."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the checks within the columns' definitions: SQLite can do that without rebuilding the table."""
    states = "drift IN ('yes', 'no', 'waiting')"
    checked = sa.CheckConstraint(states, name=op.f("ck_scoring_run_drift"))
    op.add_column("scoring_run", sa.Column("drift", TEXT, checked, nullable=True))
    op.add_column("scoring_run", sa.Column("drift_reason", TEXT, nullable=True))
    for name in ("drift_images", "drift_sources"):
        check = sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_scoring_run_{name}"))
        op.add_column("scoring_run", sa.Column(name, sa.Integer(), check, nullable=True))
    op.add_column("scoring_run", sa.Column("drift_waiting", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "drift_metric",
        *(sa.Column(name, TEXT, nullable=False) for name in ("run_id", "statistic")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in RATIOS),
        sa.Column("differs", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "statistic", name=op.f("pk_drift_metric")),
        sa.ForeignKeyConstraint(["run_id"], ["scoring_run.id"], name=op.f("fk_drift_metric_run_id_scoring_run")),
        *(sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_drift_metric_{name}")) for name in RATIOS),
    )


RATIOS = ("distance", "expected", "p_value")
