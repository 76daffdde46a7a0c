"""API keys as they are shown."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class KeyInfo:
    """What may be seen of a key."""

    id: str
    """The part of the key's text between gw_ and its secret."""
    name: str
    role: str
    state: str
    per_minute: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class KeyMade(KeyInfo):
    """A new key."""

    key: str
    """Its text, shown this once: send it as 'Authorization: Bearer KEY'."""


@dataclass(frozen=True, kw_only=True)
class KeyList:
    """All keys there ever were, oldest first."""

    keys: list[KeyInfo]


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who asks."""

    name: str
    """Of the key; local where none is needed."""
    role: str
    """What may be done: score; fit, which includes score; admin, which includes all."""
    is_open: bool
    """Whether the server takes these requests without a key."""
