"""The API keys in the database: made, listed, revoked, each change with a line in the audit.

Rows are never deleted: a name is given once, so that the audit's *who* stays one key, and whether
there has ever been a key decides if requests without one are taken (``app.access.guard``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.access.credentials import Key, Role, Snapshot, invent, without_secrets
from app.access.terms import check
from app.clock import now
from app.errors import (
    KeyExistsError,
    NoAdminKeyError,
    TooManyKeysError,
    UnknownKeyError,
)
from app.storage.audit import By, record
from app.storage.database import Database
from app.storage.tables import KEYS

MOST_KEYS = 1000
"""Keys that are not revoked: every process reads them all, once a second at most."""

_STANDING: Select[Any] = select(KEYS).where(KEYS.c.revoked_at.is_(None)).order_by(KEYS.c.id)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at its creation, the only time its text is known."""

    key: Key
    text: str = field(repr=False)


class Keys:
    """Makes, lists and revokes keys."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        by: By,
        name: str,
        role: Role,
        *,
        expires_at: datetime | None = None,
        per_minute: int | None = None,
        force: bool = False,
    ) -> NewKey:
        """Make a key.

        Args:
            by: who makes it.
            name: of the form of detectors' names; unique among all keys that ever were.
            role: what it may do.
            expires_at: when it ends, with a time zone.
            per_minute: most requests a minute, at least 1; None is no limit.
            force: make one that is no admin's though no admin key can be used.

        Raises:
            InvalidKeySpecError: if name, expiry or limit cannot be.
            KeyExistsError: if the name was given before.
            TooManyKeysError: if there are ``MOST_KEYS`` already.
            NoAdminKeyError: if no admin key could manage it over HTTP, unless forced.
        """
        moment = self._clock()
        check(name, expires_at, per_minute, moment)
        key_id, text, digest = invent()
        key = Key(key_id, name, role, digest, per_minute, by.who, moment, expires_at)
        row = {column.name: getattr(key, column.name) for column in KEYS.columns}
        expires = expires_at.isoformat() if expires_at else None
        shown = {"name": name, "role": role.value, "per_minute": per_minute, "expires_at": expires}
        try:
            with self._database.write() as connection:
                standing = _locked(connection)
                if len(standing) >= MOST_KEYS:
                    raise TooManyKeysError(f"there are {MOST_KEYS} keys: revoke those not used")
                if role != Role.ADMIN and not force:
                    _require_admin(standing, moment, "create an admin key first")
                connection.execute(insert(KEYS).values(row | {"role": role.value}))
                record(connection, by, "create key", key_id, after=shown)
        except IntegrityError:
            # Not chained: the driver's words may repeat the row, and the hash with it.
            raise KeyExistsError(f"there is or was a key named {name!r}: choose another") from None
        return NewKey(key, text)

    def revoke(self, by: By, key_id: str, *, force: bool = False) -> None:
        """End a key; one that was revoked before stays as it is.

        Raises:
            UnknownKeyError: if there is no such key.
            NoAdminKeyError: if it is the last admin key that can be used, unless forced.
        """
        with self._database.write() as connection:
            standing = {key.id: key for key in _locked(connection)}
            if key_id not in standing:
                if connection.scalar(select(KEYS.c.id).where(KEYS.c.id == key_id)) is None:
                    raise UnknownKeyError(f"there is no key {without_secrets(key_id)!r}")
                return
            moment, key = self._clock(), standing.pop(key_id)
            if _administers(key, moment) and not force:
                what = "create another one first, or force it"
                _require_admin(standing.values(), moment, what)
            connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(revoked_at=moment))
            before = {"name": key.name, "role": key.role.value, "revoked": False}
            record(connection, by, "revoke key", key_id, before=before, after={"revoked": True})

    def all(self) -> list[Key]:
        """Return all keys there ever were, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id))
            return [_key(row) for row in rows]

    def snapshot(self) -> Snapshot:
        """Return the keys that are not revoked."""
        with self._database.read() as connection:
            by_id = {row.id: _key(row) for row in connection.execute(_STANDING)}
            ever = bool(by_id) or connection.scalar(select(KEYS.c.id).limit(1)) is not None
            return Snapshot(by_id, ever)


def _key(row: Row[Any]) -> Key:
    return Key(**dict(row._mapping, role=Role(row.role)))


def _locked(connection: Connection) -> list[Key]:
    """Return the keys that are not revoked, and let nobody else change them meanwhile.

    Else two who revoke one each of the last two admin keys would not see the other.
    """
    return [_key(row) for row in connection.execute(_STANDING.with_for_update())]


def _administers(key: Key, moment: datetime) -> bool:
    return key.role == Role.ADMIN and key.state(moment) == "usable"


def _require_admin(keys: Iterable[Key], moment: datetime, what_to_do: str) -> None:
    if not any(_administers(key, moment) for key in keys):
        raise NoAdminKeyError(
            f"there would be no admin key, and keys could no longer be managed over HTTP: "
            f"{what_to_do} (gatewatch keys create NAME --role admin)"
        )
