"""Scored images that a person is asked about are found without reading all."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the index."""
    which = sa.text("verdict IN ('anomalous', 'uncertain')")
    op.create_index(
        "scored_to_review",
        "scored",
        ["detector_id"],
        unique=False,
        sqlite_where=which,
        postgresql_where=which,
    )
