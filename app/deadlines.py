"""Until when an answer is of use, as the client says."""

import time
from typing import Annotated

from fastapi import Depends, Header

TIMEOUT = "X-Request-Timeout-Ms"
MAX_TIMEOUT_MS = 3_600_000


async def _deadline(
    timeout_ms: Annotated[
        int,
        Header(
            alias=TIMEOUT,
            ge=1,
            le=MAX_TIMEOUT_MS,
            description="How long the answer is of use, from the request's headers on. A request "
            "that cannot make it is refused with 503, at once if that can be told beforehand.",
        ),
    ] = MAX_TIMEOUT_MS,
) -> float:
    return time.perf_counter() + 1e-3 * timeout_ms


DeadlineDep = Annotated[float, Depends(_deadline)]
"""A time of ``time.perf_counter``; in an hour if the client says nothing."""
