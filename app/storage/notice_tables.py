"""The tables of notices, beside those of ``app.storage.tables``."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from app.storage.tables import METADATA, Moment

_ID = String(32)  # hexadecimal

# What was told of a detector's alarms. It outlives the detector: their end has to be told, too.
NOTICES = Table(
    "notices",
    METADATA,
    Column(
        "sequence",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("id", _ID, nullable=False, unique=True),
    Column("detector_id", _ID, nullable=False),
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
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("notices.sequence", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("sink", String(8), primary_key=True),
    Column("detector_id", _ID, nullable=False),
    Column("state", String(9), nullable=False),  # waiting, delivered or given_up
    Column("attempts", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("problem", Text, nullable=False),  # of the last attempt
    Column("lease_owner", _ID),
    Column("lease_until", Moment),
    Index("notice_deliveries_by_state", "sink", "state", "detector_id", "sequence"),
)
