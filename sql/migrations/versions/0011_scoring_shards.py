"""Scoring runs are cut into shards that workers lease; predictions hold marginals, the five best classes and times."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the checks within the columns' definitions: SQLite can do that without rebuilding the table."""
    allowed = sa.CheckConstraint("status IN ('running', 'finished', 'superseded')", name=op.f("ck_scoring_run_status"))
    op.add_column("scoring_run", sa.Column("listing", TEXT, nullable=True))
    op.add_column("scoring_run", sa.Column("status", TEXT, allowed, nullable=False, server_default="finished"))
    op.add_column("scoring_run", sa.Column("active_until", MOMENT, nullable=True))
    op.add_column("scoring_run", sa.Column("engine", TEXT, nullable=True))
    op.execute("UPDATE scoring_run SET status = 'superseded' WHERE finished_at IS NULL")
    running = sa.text("status = 'running'")
    op.create_index(
        "ix_scoring_run_running",
        "scoring_run",
        ["model_id", "folder", "listing"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    create_table()
    for name in ("tumor_probability", "contrast_probability"):
        check = sa.CheckConstraint(f"{name} BETWEEN 0 AND 1", name=op.f(f"ck_prediction_{name}"))
        op.add_column("prediction", sa.Column(name, sa.Double(), check, nullable=True))
    op.add_column("prediction", sa.Column("top5", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("prediction", sa.Column("seconds", sa.Double(), nullable=True))
    op.add_column("prediction", sa.Column("seen_at", MOMENT, nullable=True))
    op.execute("UPDATE prediction SET seen_at = scored_at")


def create_table() -> None:
    counts = ("n_files", "fence", "n_scored", "n_abstained", "n_rejected", "n_reused")
    op.create_table(
        "scoring_shard",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts[:2]),
        sa.Column("worker", TEXT, nullable=True),
        *(sa.Column(name, MOMENT, nullable=True) for name in ("lease_until", "done_at")),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in counts[2:]),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_scoring_shard")),
        sa.ForeignKeyConstraint(["run_id"], ["scoring_run.id"], name=op.f("fk_scoring_shard_run_id_scoring_run")),
        *(sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_scoring_shard_{name}")) for name in counts),
    )
