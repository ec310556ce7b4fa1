"""Evaluations get accuracy by similarity to the training images and by group."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

COUNTS = ("near_duplicate_n", "similar_n", "unlike_n", "examination_n", "group_n")
RATIOS = (
    "near_duplicate_accuracy",
    "similar_accuracy",
    "unlike_accuracy",
    "examination_accuracy",
    "group_tumor_accuracy",
)


def upgrade() -> None:
    """Add the checks within the columns' definitions: SQLite can do that without rebuilding the table."""
    for name in COUNTS:
        check = sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_evaluation_{name}"))
        op.add_column("evaluation", sa.Column(name, sa.Integer(), check, nullable=True))
    for name in RATIOS:
        check = sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_evaluation_{name}"))
        op.add_column("evaluation", sa.Column(name, sa.Double(), check, nullable=True))
    create_table()


def create_table() -> None:
    ratios = ("accuracy", "macro_f1", "nearest_accuracy")
    op.create_table(
        "similarity_metric",
        sa.Column("evaluation_id", TEXT, nullable=False),
        sa.Column("similarity", TEXT, nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ratios),
        sa.Column("nearest_other", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("evaluation_id", "similarity", "low", name=op.f("pk_similarity_metric")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluation.id"], name=op.f("fk_similarity_metric_evaluation_id_evaluation")
        ),
        sa.CheckConstraint("n >= 0", name=op.f("ck_similarity_metric_n")),
        *(sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_similarity_metric_{name}")) for name in ratios),
    )
