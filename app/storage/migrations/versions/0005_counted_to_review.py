"""Scored images that a person is asked about are counted without reading their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the index anew, with all that counting needs.

    Under another name, and the old one goes last: to drop it locks out all who read, in PostgreSQL
    until the end of the migration, which so comes at once.
    """
    which = sa.text("verdict IN ('anomalous', 'uncertain')")
    op.create_index(
        "scored_for_review",
        "scored",
        ["detector_id", "verdict", "at", "id"],
        unique=False,
        sqlite_where=which,
        postgresql_where=which,
    )
    op.drop_index("scored_to_review", "scored")
