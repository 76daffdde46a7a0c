"""The tables of the database; ``migrations/`` brings an older one to this form.

A version's row names its blobs and is never changed; what is in service is a number in its
detector's row. Tables of drift and of notices stand in files of their own.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.storage.columns import COUNTED, ID, METADATA, NAME, Moment

DETECTORS = Table(
    "detectors",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("in_service", Integer, nullable=False),
    Column("tip", Integer, nullable=False),  # what the next change builds on
    Column("shadow", Integer),
    Column("previous", Integer),  # in service before the one that is
    Column("last_version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

VERSIONS = Table(
    "versions",
    METADATA,
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("parent", Integer),
    Column("run", ID),  # what made it, so that it is not made twice
    Column("change", String(16), nullable=False),
    Column("fit_blob", NAME, nullable=False),
    Column("decision_blob", NAME, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("who", NAME, nullable=False),
    Column("reason", Text, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("detector_id", "run"),
)

# What a version did to the images of its parent: added (sign 1) or removed (sign -1).
VERSION_IMAGES = Table(
    "version_images",
    METADATA,
    Column("detector_id", ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("role", String(16), nullable=False),  # fit, calibrate or anomaly
    Column("sign", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("group", NAME, nullable=False),
    Column("rows_blob", NAME, nullable=False),  # empty if the rows were not kept
    Column("row", Integer, nullable=False),
    ForeignKeyConstraint(
        ["detector_id", "version"],
        ["versions.detector_id", "versions.version"],
        ondelete="CASCADE",
    ),
    Index("version_images_by_digest", "detector_id", "sha256"),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("detector_id", ID, nullable=False),
    Column("detector", String(63), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("base", Integer),  # the version it builds on, once it has begun
    Column("serving", Integer),  # the version that was in service when it began
    Column("spool_blob", NAME, nullable=False),  # empty for a job without images of its own
    Column("state", String(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),  # counts what a watcher can see change
    Column("cancel_requested", Boolean, nullable=False),
    Column("result", JSON),
    Column("problem", JSON),
    Column("idempotency_key", NAME, unique=True),
    Column("body_sha256", String(64), nullable=False),
    Column("who", NAME, nullable=False),
    Column("reason", Text, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("lease_owner", ID),
    Column("lease_until", Moment),
    Index("jobs_by_state", "state", "created_at"),
    # Jobs of one detector run one after the other, whatever process claims them.
    Index(
        "jobs_running",
        "detector_id",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

TO_REVIEW = text("verdict IN ('anomalous', 'uncertain')")

# Rows of scored images lie in blobs of some dozens; a row here says which and where.
SCORED = Table(
    "scored",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("name", Text, nullable=False),
    Column("group", NAME, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("score", Float(53), nullable=False),
    Column("threshold", Float(53)),
    Column("p_value", Float(53)),
    Column("verdict", String(16), nullable=False),
    Column("chunk", ID, nullable=False),
    Column("row", Integer, nullable=False),
    Index("scored_by_time", "detector_id", "at", "id"),
    Index("scored_by_chunk", "chunk"),
    # Few of all; as text, for SQLite takes it only for a query with the same words. Counting them
    # reads nothing else.
    Index(
        "scored_for_review",
        "detector_id",
        "verdict",
        "at",
        "id",
        sqlite_where=TO_REVIEW,
        postgresql_where=TO_REVIEW,
    ),
)

# How often the shadow and the version in service agreed.
SHADOWS = Table(
    "shadows",
    METADATA,
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), primary_key=True),
    Column("in_service", Integer, primary_key=True),
    Column("shadow", Integer, primary_key=True),
    Column("agreed", BigInteger, nullable=False),
    Column("only_service", BigInteger, nullable=False),  # flagged by the version in service alone
    Column("only_shadow", BigInteger, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)

CHUNKS = Table(
    "chunks",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), nullable=False),
    Column("blob", NAME, nullable=False),
    Column("images", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Index("chunks_by_time", "detector_id", "last_at"),
    Index("chunks_by_age", "last_at"),
)

REVIEWS = Table(
    "reviews",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("image_id", ID, nullable=False),
    Column("detector_id", ForeignKey("detectors.id", ondelete="CASCADE"), nullable=False),
    Column("word", String(16), nullable=False),  # one of ReviewWord
    Column("note", Text, nullable=False),
    Column("who", NAME, nullable=False),
    Column("at", Moment, nullable=False),
    Index("reviews_by_detector", "detector_id", "at", "id"),
    Index("reviews_by_image", "image_id", "at"),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", NAME, nullable=False),
    Column("role", String(8), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the secret, which is kept nowhere
    Column("per_minute", Integer),
    Column("created_by", NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    UniqueConstraint("name"),
)

# Only ever added to: triggers refuse the rest.
AUDIT = Table(
    "audit",
    METADATA,
    Column("sequence", COUNTED, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", NAME, nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", NAME, nullable=False),  # a detector's name, a key's id, ...
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("request_id", String(64), nullable=False),
    Index("audit_by_subject", "subject", "sequence"),
)
