"""Until when an answer is of use, as the client says."""

import time
from typing import Annotated

from fastapi import Header

TIMEOUT = "X-Request-Timeout-Ms"
MAX_TIMEOUT_MS = 3_600_000

TimeoutMs = Annotated[
    int,
    Header(
        alias=TIMEOUT,
        ge=1,
        le=MAX_TIMEOUT_MS,
        description="How long the answer is of use, from the request's headers on. A request "
        "that cannot make it is refused with 503, at once if that can be told beforehand.",
    ),
]
"""An hour if the client says nothing."""


def deadline(timeout_ms: int) -> float:
    """Return when so many milliseconds from now are over, as a time of ``time.perf_counter``."""
    return time.perf_counter() + 1e-3 * timeout_ms
