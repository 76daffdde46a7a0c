"""Wall-clock time and memory: what everybody shared, and what each configuration took."""

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

SHARED = None
"""Key of the time that counts for every configuration."""


class Watch:
    """Sums wall-clock seconds by key."""

    def __init__(self) -> None:
        self._seconds: defaultdict[Hashable, float] = defaultdict(float)

    @contextmanager
    def running(self, key: Hashable) -> Iterator[None]:
        """Add the time of the block to a key."""
        started_s = time.perf_counter()
        yield
        self._seconds[key] += time.perf_counter() - started_s

    def seconds(self, key: Hashable) -> float:
        """Return the time of a key with the shared time."""
        return self._seconds[SHARED] + self._seconds[key]


def peak_rss_bytes() -> int:
    """Return the most memory this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
