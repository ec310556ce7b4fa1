"""Incoming folders: the last look at each, and what became of its scoring."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "incoming_look",
        sa.Column("incoming", TEXT, nullable=False),
        sa.Column("looked_at", MOMENT, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("n_folders", "n_loose")),
        sa.PrimaryKeyConstraint("incoming", name=op.f("pk_incoming_look")),
        *(not_negative("incoming_look", name) for name in ("n_folders", "n_loose")),
    )
    reference = op.f("fk_incoming_folder_incoming_incoming_look")
    states = op.f("ck_incoming_folder_state")
    op.create_table(
        "incoming_folder",
        *(sa.Column(name, TEXT, nullable=False) for name in ("folder", "incoming", "listing")),
        sa.Column("n_files", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        *(sa.Column(name, MOMENT, nullable=False) for name in ("first_seen_at", "changed_at", "looked_at")),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.Column("n_failures", sa.Integer(), nullable=False),
        *(sa.Column(name, TEXT, nullable=True) for name in ("run_id", "problem")),
        sa.PrimaryKeyConstraint("folder", name=op.f("pk_incoming_folder")),
        sa.ForeignKeyConstraint(["incoming"], ["incoming_look.incoming"], name=reference),
        sa.CheckConstraint("state IN ('waiting', 'started', 'scored', 'failed')", name=states),
        *(not_negative("incoming_folder", name) for name in ("n_files", "n_failures")),
    )


def not_negative(table: str, column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} >= 0", name=op.f(f"ck_{table}_{column}"))
