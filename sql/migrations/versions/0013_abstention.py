"""Predictions hold the distance from the training images, the prediction set, and the risk they were decided for."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the checks within the columns' definitions: SQLite can do that without rebuilding the table."""
    op.add_column("prediction", sa.Column("distance", sa.Double(), nullable=True))
    op.add_column("prediction", sa.Column("prediction_set", sa.JSON(none_as_null=True), nullable=True))
    for table in ("prediction", "scoring_run"):
        check = sa.CheckConstraint("risk BETWEEN 0 AND 1", name=op.f(f"ck_{table}_risk"))
        op.add_column(table, sa.Column("risk", sa.Double(), check, nullable=True))
