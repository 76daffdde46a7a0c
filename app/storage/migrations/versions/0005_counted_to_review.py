"""Scored images that a person is asked about are counted without reading their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the index anew, with all that counting needs."""
    which = sa.text("verdict IN ('anomalous', 'uncertain')")
    op.drop_index("scored_to_review", "scored")
    op.create_index(
        "scored_to_review",
        "scored",
        ["detector_id", "verdict", "at", "id"],
        unique=False,
        sqlite_where=which,
        postgresql_where=which,
    )
