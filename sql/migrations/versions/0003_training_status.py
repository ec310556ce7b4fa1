"""A model has its row from its first epoch on; until it is trained it is no model to evaluate or score with."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A check in the column's own definition, which SQLite can add in place."""
    check = sa.CheckConstraint("status IN ('training', 'trained')", name=op.f("ck_model_status"))
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("model", sa.Column("status", kind, check, nullable=False, server_default="trained"))
