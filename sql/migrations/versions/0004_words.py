"""Near duplicates are called near duplicates."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RENAMED = {
    "twin_free_n": "duplicate_free_n",
    "twin_free_accuracy": "duplicate_free_accuracy",
    "twin_free_macro_f1": "duplicate_free_macro_f1",
}


def upgrade() -> None:
    for old, new in RENAMED.items():
        op.execute(f"ALTER TABLE evaluation RENAME COLUMN {old} TO {new}")
