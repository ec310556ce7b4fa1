"""A model has a status: its row exists from the first epoch on, before the model can be used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the check within the column's definition: SQLite can do that without rebuilding the table."""
    check = sa.CheckConstraint("status IN ('training', 'trained')", name=op.f("ck_model_status"))
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("model", sa.Column("status", kind, check, nullable=False, server_default="trained"))
