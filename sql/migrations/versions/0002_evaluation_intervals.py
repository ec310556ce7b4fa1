"""Evaluations get metrics of tumor alone and contrast alone, and confidence intervals."""

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
    """Add the check within the column's definition: SQLite can do that without rebuilding the table."""
    for name in RATIOS:
        check = sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_evaluation_{name}"))
        op.add_column("evaluation", sa.Column(name, sa.Double(), check, nullable=True))
