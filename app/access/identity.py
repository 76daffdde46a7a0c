"""Who makes a request: a key's holder, or ``local`` where no key is needed.

What is known of the keys is read anew, off the event loop, when it is older than a second; all who
wait share one reading. It is the whole table of keys that are not revoked, at most
``app.storage.keys.MOST_KEYS``, so that ids that somebody invents cost no queries of their own.
"""

import asyncio
import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from app.access.credentials import Role, Snapshot
from app.access.rate_limit import RateLimits
from app.access.terms import LOCAL
from app.clock import now
from app.errors import KeyRefusedError, KeyRequiredError
from app.storage.keys import Keys

FRESH_S = 1.0
"""How long what was read of the keys is believed: a revoked key ends within it."""
PAUSE_S = 0.05
"""Least time between two readings: invented ids must not keep the database busy."""
CREATE = "gatewatch keys create NAME --role admin"
HOW = "'Authorization: Bearer KEY' or 'X-API-Key: KEY'"

Trust = Literal["nobody", "loopback", "anybody"]
"""Whose requests need no key while there never was one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request: a key's name, or ``local``."""

    name: str
    role: Role

    @property
    def is_open(self) -> bool:
        """Whether no key was needed; none can be called ``local``."""
        return self.name == LOCAL


class Access:
    """Finds out who makes a request; used in the event loop only."""

    def __init__(
        self,
        keys: Keys,
        trust: Trust,
        *,
        clock: Callable[[], float] = time.monotonic,
        moment: Callable[[], datetime] = now,
    ) -> None:
        self._keys = keys
        self._trust = trust
        self._clock = clock
        self._moment = moment
        self._limits = RateLimits(clock)
        self._snapshot = Snapshot({}, ever=True)
        self._asked_s = -math.inf
        self._reading: asyncio.Task[None] | None = None

    async def identify(self, headers: Headers) -> Identity:
        """Return who makes a request of these headers.

        Raises:
            KeyRequiredError: if there is no key, and one is needed.
            KeyRefusedError: if the key cannot be used, or two different ones were sent.
            TooManyRequestsError: if the key has used up its requests.
            StorageUnavailableError: if the keys cannot be read.
        """
        arrived_s = self._clock()
        snapshot = await self._known(arrived_s - FRESH_S)
        sent = _sent(headers)
        if not sent:
            if snapshot.ever or not self._trusts(headers):
                raise KeyRequiredError(self._needed(snapshot))
            return Identity(LOCAL, Role.ADMIN)
        if len(sent) > 1:
            raise KeyRefusedError("the request carries different keys: send one")
        (text,) = sent
        if snapshot.lacks(text):  # perhaps it was made just now
            snapshot = await self._known(arrived_s)
        key = snapshot.match(text)
        if key is None:
            raise KeyRefusedError("this key is unknown, wrong or revoked")
        if key.state(self._moment()) == "expired":  # told to who has the secret, to nobody else
            raise KeyRefusedError(f"the key {key.name!r} expired at {key.expires_at}")
        if key.per_minute is not None:
            self._limits.take(key.id, key.per_minute)
        return Identity(key.name, key.role)

    async def _known(self, since_s: float) -> Snapshot:
        """Return what is known of the keys, read since then; all who wait share one reading."""
        while self._asked_s < since_s:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            await asyncio.shield(self._reading)
        return self._snapshot

    async def _read(self) -> None:
        try:
            await asyncio.sleep(max(0.0, self._asked_s + PAUSE_S - self._clock()))
            asked_s = self._clock()
            self._snapshot = await asyncio.to_thread(self._keys.snapshot)
            self._asked_s = asked_s
        finally:
            self._reading = None

    def _trusts(self, headers: Headers) -> bool:
        origin, host = headers.get("origin"), headers.get("host", "")
        if self._trust == "nobody" or (origin is not None and _place(origin) != host):
            return False
        return self._trust == "anybody" or is_loopback(_name(host))

    def _needed(self, snapshot: Snapshot) -> str:
        if snapshot.ever or self._trust == "nobody":
            return f"send a key: {HOW}; {CREATE} makes one"
        return (
            "without a key only requests are taken that are addressed to this machine as localhost "
            f"and come from no other site; send a key: {HOW}; {CREATE} makes one"
        )


def _sent(headers: Headers) -> set[str]:
    """Return the keys a request carries; another scheme than Bearer is a proxy's, not ours."""
    pairs = [value.partition(" ") for value in headers.getlist("authorization")]
    bearers = {text.strip() for scheme, _, text in pairs if scheme.lower() == "bearer"}
    return bearers | {text.strip() for text in headers.getlist("x-api-key")}


def _place(origin: str) -> str:
    return origin.partition("://")[2]


@lru_cache(maxsize=64)
def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's alone; a name is looked up nowhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
