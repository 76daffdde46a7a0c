"""The tables of drift: its states, a log of what was scored, and who reads it.

What was scored is written to the log by every process, and taken from it by one. A note that is
taken is kept as long as a window or a baseline may need its squeezes, which lie beside it, for they
are large and neither read nor written when it is taken.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, text

from app.storage.columns import COUNTED, ID, METADATA, NAME, Moment

WAITS = text("windows > 0")

# What the traffic was compared with and the evidence that it has changed.
DRIFT_STATES = Table(
    "drift_states",
    METADATA,
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), primary_key=True),
    Column("counter", BigInteger, nullable=False),  # of writes: nobody replaces what is newer
    Column("at", Moment, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("reference_blob", NAME, nullable=True),  # that the content names
    Column("windows", Integer),  # that wait for their test
    Index(
        "drift_states_waiting",
        "detector_id",
        sqlite_where=WAITS,
        postgresql_where=WAITS,
    ),
)

UNTAKEN = text("number IS NULL")

DRIFT_NOTES = Table(
    "drift_notes",
    METADATA,
    Column("id", COUNTED, primary_key=True, autoincrement=True),
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), nullable=False),
    Column("source", ID, nullable=False),  # the process that wrote it
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
        COUNTED,
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
    Column("owner", ID, nullable=False),
    Column("until", Moment, nullable=False),
)
