"""What an API key is: a public id and a secret, of which only a hash is kept.

A key reads ``gw_<id>_<secret>``. The id finds the row, and names the key in lists and in the audit.
The secret is 32 random bytes, shown once, at creation. One pass of SHA-256 is what such a secret
needs: a slow hash protects passwords, which can be guessed, but 256 random bits cannot be found by
trying, however fast a try is, and a slow hash would be paid for in every request.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

_FORM = re.compile(r"gw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_TRACE = re.compile(r"(gw_[0-9a-f]{12}_)[A-Za-z0-9_-]+")
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()  # the hash of no secret we make

State = Literal["usable", "expired", "revoked"]


class Role(StrEnum):
    """What a key may do; each role includes those before it."""

    SCORE = "score"
    FIT = "fit"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret."""

    id: str
    name: str
    role: Role
    sha256: str = field(repr=False)
    per_minute: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, moment: datetime) -> State:
        """Return what the key is worth at a moment."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= moment else "usable"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The keys that are not revoked, by id, and whether there has ever been any."""

    by_id: Mapping[str, Key]
    ever: bool

    def lacks(self, text: str) -> bool:
        """Return whether this is the text of a key that may have been made since."""
        found = _FORM.fullmatch(text)
        return found is not None and found[1] not in self.by_id

    def match(self, text: str) -> Key | None:
        """Return the key of this text, or None where no key has this id and this secret."""
        found = _FORM.fullmatch(text)
        key_id, secret = found.groups() if found else ("", "")
        key = self.by_id.get(key_id)
        # An unknown id costs the same comparison as a known one.
        right = hmac.compare_digest(_hash(secret), key.sha256 if key else _NOBODY)
        return key if right else None


def invent() -> tuple[str, str, str]:
    """Return a new key's id, its text, and the hash of its secret."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return key_id, f"gw_{key_id}_{secret}", _hash(secret)


def without_secrets(text: str) -> str:
    """Return a text with the secrets of keys in it, whole or cut, left out."""
    return _TRACE.sub(r"\1...", text)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
