"""The tables of drift beside its states: a log of what was scored, and who reads it.

What was scored is written to the log by every process, and taken from it by one. A note that is
taken is kept as long as a window or a baseline may need its squeezes, which lie beside it, for they
are large and neither read nor written when it is taken.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from app.storage.tables import METADATA, Moment

_ID = String(32)  # a UUID in hexadecimal
_COUNTED = BigInteger().with_variant(Integer, "sqlite")
UNTAKEN = text("number IS NULL")

DRIFT_NOTES = Table(
    "drift_notes",
    METADATA,
    Column("id", _COUNTED, primary_key=True, autoincrement=True),
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), nullable=False),
    Column("source", _ID, nullable=False),  # the process that wrote it
    Column("batch", BigInteger, nullable=False),  # counts what that has written: none counts twice
    Column("images", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),  # images that the process had no room for
    Column("number", BigInteger),  # of its first image in the monitored sequence, once it is taken
    Column("last", BigInteger),  # of its last one
    Column("content", LargeBinary, nullable=False),
    Index("drift_notes_by_number", "detector_id", "last"),
    # As text, for SQLite takes it only for a query with the same words.
    Index(
        "drift_notes_untaken",
        "detector_id",
        "id",
        sqlite_where=UNTAKEN,
        postgresql_where=UNTAKEN,
    ),
    sqlite_autoincrement=True,  # no number is given again: they are the order of arrival
)

DRIFT_SQUEEZES = Table(
    "drift_squeezes",
    METADATA,
    Column(
        "note_id",
        _COUNTED,
        ForeignKey("drift_notes.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("content", LargeBinary, nullable=False),
)

# Who takes the notes of a detector.
DRIFT_WRITERS = Table(
    "drift_writers",
    METADATA,
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), primary_key=True),
    Column("owner", _ID, nullable=False),
    Column("until", Moment, nullable=False),
)
