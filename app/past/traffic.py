"""All detectors at a glance: what was scored lately, what waits for a person, and the drift."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clock import now
from app.drift_telemetry import State
from app.monitoring.words import Words
from app.settings import Settings
from app.storage import Storage
from app.storage.census import to_review
from app.storage.traffic import Traffic, traffic
from app.unbroken import unbroken

PARTS = 24
"""Equal parts of the time."""


@dataclass(frozen=True, slots=True)
class Glance:
    """One detector: what it has scored, images that wait for a person, the word for its drift."""

    detector: str
    traffic: Traffic
    to_review: int
    drift: State | None


@dataclass(frozen=True, slots=True)
class Glances:
    """All detectors by name, over the time from ``since`` to before ``until``."""

    since: datetime
    until: datetime
    detectors: Sequence[Glance]


class TrafficCounts:
    """Counts, one request after the other, so that many do not keep the database busy."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._storage = storage
        self._words = Words(settings, storage)
        self._counting = asyncio.Lock()

    async def last(self, hours: int) -> Glances:
        """Return what was scored up to now, as far as it is kept.

        Raises:
            StorageUnavailableError
        """
        async with self._counting:
            return await unbroken(asyncio.to_thread(self._count, timedelta(hours=hours)))

    def _count(self, span: timedelta) -> Glances:
        until = now()
        edges = [until - span + span * place / PARTS for place in range(PARTS)] + [until]
        with self._storage.database.read() as connection:
            counted, waiting = traffic(connection, edges), to_review(connection)
        entries = [entry for entry in self._storage.versions.all() if entry.id in counted]
        words = self._words.of(entries)
        return Glances(
            edges[0],
            until,
            [
                Glance(entry.name, counted[entry.id], waiting.get(entry.id, 0), words[entry.id])
                for entry in entries
            ],
        )
