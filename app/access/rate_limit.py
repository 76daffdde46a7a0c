"""How often a key may ask: a token bucket per key, in this process.

A bucket holds one minute's requests and fills evenly, so that in any t seconds at most
``per_minute * (1 + t / 60)`` requests pass. Kept is one number per key, the moment at which its
bucket will be full again (the generic cell rate algorithm's form of the bucket). Each process has
buckets of its own: with n processes a key may ask up to n times as often.
"""

import math
import time
from collections.abc import Callable

from app.errors import TooManyRequestsError

MINUTE_S = 60.0
MOST_BUCKETS = 1024
_TOLERANCE_S = 1e-6  # per_minute times 60 / per_minute need not be 60 in floating point


class RateLimits:
    """The buckets; to be used in one thread (the event loop's)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at_s: dict[str, float] = {}

    def take(self, key_id: str, per_minute: int) -> None:
        """Count one request of a key.

        Raises:
            TooManyRequestsError: if its bucket is empty; a request that is refused costs nothing.
        """
        now_s = self._clock()
        full_at_s = max(self._full_at_s.get(key_id, now_s), now_s) + MINUTE_S / per_minute
        wait_s = full_at_s - now_s - MINUTE_S
        if wait_s > _TOLERANCE_S:
            whole_s = math.ceil(wait_s - _TOLERANCE_S)
            raise TooManyRequestsError(
                f"this key may ask {per_minute} time(s) a minute of each process: repeat in "
                f"{whole_s} s",
                whole_s,
            )
        if len(self._full_at_s) >= MOST_BUCKETS:  # a full bucket is as good as none
            self._full_at_s = {k: full for k, full in self._full_at_s.items() if full > now_s}
        self._full_at_s[key_id] = full_at_s
