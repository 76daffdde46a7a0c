"""What scoring uses of detectors, read before it is too old, and once for all who wait for it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.storage.version_reader import AGES_S, FRESH_S, Stored, VersionReader

R = TypeVar("R")


class AtHand:
    """Detectors by name and version; used in the event loop.

    What is used all the time is read again while the last reading still serves: nobody waits for
    the database, or for the threads and the interpreter that others are at.
    """

    def __init__(self, versions: VersionReader) -> None:
        self._versions = versions
        self._reading: dict[tuple[object, ...], asyncio.Task[Any]] = {}

    async def get(self, name: str, version: int | None) -> Stored:
        """Return a detector as ``VersionReader.recent``, or read it.

        Raises:
            as ``VersionReader.get``.
        """
        stored = self._versions.recent(name, version)
        if stored is not None and not self._versions.ages(name, version):
            return stored
        reading = self._read(self._versions.get, name, version)
        if stored is not None:
            return stored
        return await asyncio.shield(reading)  # who goes away does not take the others' along

    async def look_up(self, names: Sequence[str]) -> None:
        """Read what is in service of many detectors at once, unless it was read just now."""
        # Before it ages: each is used in its turn, and would be read alone if it aged meanwhile.
        if any(self._versions.ages(name, after_s=AGES_S / 2) for name in names):
            await asyncio.shield(self._read(self._versions.refresh, tuple(names)))

    async def stop(self) -> None:
        """Wait for what is under way, for which nobody may wait any more: it uses the database."""
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def _read(self, call: Callable[..., R], *what: object) -> asyncio.Task[R]:
        """Return the reading that is under way and began after the last change, or begin one.

        One that takes long is left to those who asked early: others may have changed what it saw.
        """
        key = (call, *what, self._versions.changes, int(time.monotonic() / FRESH_S))
        if key not in self._reading:
            reading = asyncio.create_task(asyncio.to_thread(call, *what))
            self._reading[key] = reading
            reading.add_done_callback(lambda _: self._end(key))
        return self._reading[key]

    def _end(self, key: tuple[object, ...]) -> None:
        reading = self._reading.pop(key)
        if not reading.cancelled():
            reading.exception()  # if nobody waits for it, nobody wants to know
