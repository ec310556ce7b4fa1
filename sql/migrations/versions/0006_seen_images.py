"""An evaluation says how many images it left out, because the model was trained on or chosen by them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("evaluation") as batch:
        batch.add_column(sa.Column("n_seen", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint(op.f("ck_evaluation_n_seen"), "n_seen >= 0")
