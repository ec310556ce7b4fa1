"""A model may be trained on the split that the data came with: protocol ``given``."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("model") as batch:
        batch.drop_constraint(op.f("ck_model_protocol"), type_="check")
        batch.create_check_constraint(op.f("ck_model_protocol"), "protocol IN ('random', 'grouped', 'given')")
