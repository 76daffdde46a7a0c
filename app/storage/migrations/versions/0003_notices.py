"""Notices of drift, how far each has come on its way to each sink; what drift states name."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their tables, and a column."""
    op.add_column("drift_states", sa.Column("reference_blob", sa.String(length=200), nullable=True))
    op.create_table(
        "notices",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("detector_id", sa.String(length=32), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("notices_by_age", "notices", ["made_at"], unique=False)
    op.create_index("notices_by_detector", "notices", ["detector_id", "sequence"], unique=False)
    op.create_table(
        "notice_deliveries",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("sink", sa.String(length=8), nullable=False),
        sa.Column("detector_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["sequence"], ["notices.sequence"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sequence", "sink"),
    )
    op.create_index(
        "notice_deliveries_by_state",
        "notice_deliveries",
        ["sink", "state", "detector_id", "sequence"],
        unique=False,
    )
