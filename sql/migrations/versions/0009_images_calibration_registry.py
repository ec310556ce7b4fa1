"""A row per evaluated image; calibration and ranking of evaluations; weights of models; forced promotions."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

RATIOS = {
    "evaluation": (
        "top3_accuracy",
        "top5_accuracy",
        "mean_average_precision",
        "calibration_error",
        "uncalibrated_error",
        "risk_coverage_area",
    ),
    "class_metric": ("f1_low", "f1_high", "average_precision"),
}
IMAGE_RATIOS = ("probability", "uncalibrated")


def upgrade() -> None:
    """Add the checks within the columns' definitions: SQLite can do that without rebuilding the table."""
    for table, names in RATIOS.items():
        for name in names:
            check = sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_{table}_{name}"))
            op.add_column(table, sa.Column(name, sa.Double(), check, nullable=True))
    op.add_column("model", sa.Column("sha256", TEXT, nullable=True))
    op.add_column("model", sa.Column("temperature", sa.Double(), nullable=True))
    op.add_column("model", sa.Column("preprocessing", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("promotion", sa.Column("forced", sa.Boolean(), nullable=False, server_default=sa.false()))
    create_table()


def create_table() -> None:
    resemblances = "resemblance IN ('near duplicate', 'similar', 'unlike')"
    op.create_table(
        "evaluated_image",
        sa.Column("evaluation_id", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("group_number", sa.Integer(), nullable=True),
        sa.Column("true_label", TEXT, nullable=False),
        sa.Column("predicted_label", TEXT, nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in IMAGE_RATIOS),
        sa.Column("true_rank", sa.Integer(), nullable=False),
        sa.Column("resemblance", TEXT, nullable=False),
        sa.Column("duplicate_free", sa.Boolean(), nullable=False),
        sa.Column("pixels", sa.Double(), nullable=True),
        sa.Column("edges", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("evaluation_id", "path", name=op.f("pk_evaluated_image")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluation.id"], name=op.f("fk_evaluated_image_evaluation_id_evaluation")
        ),
        *(
            sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_evaluated_image_{name}"))
            for name in IMAGE_RATIOS
        ),
        sa.CheckConstraint("true_rank > 0", name=op.f("ck_evaluated_image_true_rank")),
        sa.CheckConstraint(resemblances, name=op.f("ck_evaluated_image_resemblance")),
    )
