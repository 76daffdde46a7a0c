"""Readings of detectors that are counted, held and made to fail."""

import asyncio
import threading

from app.storage.version_reader import VersionReader
from app.storage.version_rows import Entry

LONG_S = 60.0
"""More than any of this takes."""


class Readings:
    """Counts readings of one detector, which can be held once they have seen what is stored."""

    def __init__(self, versions: VersionReader) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self._seen = threading.Semaphore(0)
        self._entry = versions.entry

    def entry(self, name: str, version: int | None = None) -> Entry:
        """Stand in for ``VersionReader.entry``."""
        self.count += 1
        try:
            if self.error is not None:
                raise self.error
            return self._entry(name, version)
        finally:
            self._seen.release()
            assert self.go.wait(LONG_S)

    async def seen(self) -> None:
        """Wait until one more has seen what is stored."""
        assert await asyncio.to_thread(self._seen.acquire, timeout=LONG_S)
