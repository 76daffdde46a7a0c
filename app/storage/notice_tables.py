"""The tables of notices, and of their ways to the sinks."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from app.storage.columns import COUNTED, ID, METADATA, Moment

# What was told of a detector's alarms. It outlives the detector: their end has to be told, too.
NOTICES = Table(
    "notices",
    METADATA,
    Column("sequence", COUNTED, primary_key=True, autoincrement=True),
    Column("id", ID, nullable=False, unique=True),
    Column("detector_id", ID, nullable=False),
    Column("standing", Boolean, nullable=False),  # an alarm that has not ended
    Column("made_at", Moment, nullable=False),
    Column("content", JSON, nullable=False),
    Index("notices_by_detector", "detector_id", "sequence"),
    Index("notices_by_age", "made_at"),
    sqlite_autoincrement=True,  # no number is given again, though old notices are removed
)

# What became of a notice on its way to one sink; each goes its own.
DELIVERIES = Table(
    "notice_deliveries",
    METADATA,
    Column(
        "sequence",
        COUNTED,
        ForeignKey("notices.sequence", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("sink", String(8), primary_key=True),
    Column("detector_id", ID, nullable=False),
    Column("state", String(9), nullable=False),  # waiting, delivered or given_up
    Column("attempts", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("problem", Text, nullable=False),  # of the last attempt
    Column("lease_owner", ID),
    Column("lease_until", Moment),
    Index("notice_deliveries_by_state", "sink", "state", "detector_id", "sequence"),
)
