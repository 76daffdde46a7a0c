"""API keys as they are asked for and shown."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from app.access.credentials import Key, Role, State
from app.access.identity import Identity
from app.access.terms import MOST_PER_MINUTE
from app.clock import now
from app.schemas.base import Body, whole
from app.storage.keys import NewKey
from detector.spec import NAME


def _dated(value: Any) -> Any:
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value, re.IGNORECASE):
        return value
    raise ValueError("give it as 2030-01-31T12:00:00Z")  # Pydantic would take numbers, too


Expiry = Annotated[AwareDatetime, BeforeValidator(_dated)]
Limit = Annotated[int, Field(strict=True, ge=1, le=MOST_PER_MINUTE), BeforeValidator(whole)]


class KeyRequest(Body):
    """The terms of a key to be made."""

    name: Annotated[str, StringConstraints(pattern=NAME)]
    """Whose it is; a name is given once, also when its key has been revoked."""
    role: Role
    """What it may do: score; fit, which includes score; admin, which includes all."""
    expires_at: Expiry | None = None
    """When it ends, ten years from now at most; none: when it is revoked."""
    per_minute: Limit | None = None
    """Most requests a minute, counted by each process for itself; none: no limit."""


class KeyInfo(Body):
    """What may be seen of a key."""

    id: str
    """The part of the key's text between gw_ and its secret."""
    name: str
    role: Role
    state: State
    per_minute: int | None
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None

    @classmethod
    def of(cls, key: Key) -> "KeyInfo":
        """Return what may be seen: neither the secret, which is kept nowhere, nor its hash."""
        return cls(state=key.state(now()), **_seen(key))


class KeyMade(KeyInfo):
    """A new key."""

    key: str = Field(repr=False)
    """Its text, shown this once: send it as 'Authorization: Bearer KEY'."""

    @classmethod
    def of_new(cls, made: NewKey) -> "KeyMade":
        """Return a new key with its text."""
        return cls(key=made.text, state=made.key.state(now()), **_seen(made.key))


def _seen(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in KeyInfo.model_fields if name != "state"}


class KeyList(Body):
    """All keys there ever were, oldest first."""

    keys: list[KeyInfo]

    @classmethod
    def of(cls, keys: Iterable[Key]) -> "KeyList":
        """Return what may be seen of each."""
        return cls(keys=[KeyInfo.of(key) for key in keys])


class Me(Body):
    """Who asks."""

    name: str
    """Of the key; local where none is needed."""
    role: Role
    """What may be done: score; fit, which includes score; admin, which includes all."""
    is_open: bool
    """Whether the server takes these requests without a key."""

    @classmethod
    def of(cls, identity: Identity) -> "Me":
        """Return its form."""
        return cls(name=identity.name, role=identity.role, is_open=identity.is_open)
