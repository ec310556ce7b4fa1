"""Classes get their number of groups, in the data set and in each evaluation."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the check within the column's definition: SQLite can do that without rebuilding the table."""
    for table in ("dataset_class", "class_metric"):
        check = sa.CheckConstraint("n_groups >= 0", name=op.f(f"ck_{table}_n_groups"))
        op.add_column(table, sa.Column("n_groups", sa.Integer(), check, nullable=True))
