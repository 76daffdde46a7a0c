"""What was scored as a log, from which one process at a time takes it into the drift state."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make its tables, and say of each state how many windows wait for their test: none did."""
    counted = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("drift_states", sa.Column("windows", sa.Integer(), nullable=True))
    waits = sa.text("windows > 0")
    op.create_index(
        "drift_states_waiting",
        "drift_states",
        ["detector_id"],
        unique=False,
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_table(
        "drift_notes",
        sa.Column("id", counted, autoincrement=True, nullable=False),
        sa.Column("detector_id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["detector_id"], ["detectors.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("drift_notes_by_number", "drift_notes", ["detector_id", "last"], unique=False)
    untaken = sa.text("number IS NULL")
    op.create_index(
        "drift_notes_untaken",
        "drift_notes",
        ["detector_id", "id"],
        unique=False,
        sqlite_where=untaken,
        postgresql_where=untaken,
    )
    op.create_table(
        "drift_squeezes",
        sa.Column("note_id", counted, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["note_id"], ["drift_notes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("note_id"),
    )
    op.create_table(
        "drift_writers",
        sa.Column("detector_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["detector_id"], ["detectors.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("detector_id"),
    )
