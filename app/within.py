"""To wait for an event, but not for long."""

import asyncio
import contextlib


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event so long at most; return whether it has come."""
    # Not wait_for, which on Python 3.11 may take a cancellation for a time that is up.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
