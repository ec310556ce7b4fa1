"""Evaluations say tumor alone, contrast alone, and how sure they are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RATIOS = (
    "tumor_accuracy",
    "tumor_macro_f1",
    "contrast_accuracy",
    "contrast_macro_f1",
    "accuracy_low",
    "accuracy_high",
    "macro_f1_low",
    "macro_f1_high",
)


def upgrade() -> None:
    """A check in the column's own definition, which SQLite can add in place."""
    for name in RATIOS:
        check = sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_evaluation_{name}"))
        op.add_column("evaluation", sa.Column(name, sa.Double(), check, nullable=True))
