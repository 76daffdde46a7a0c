"""How many cores this process may use."""

import os


def cores() -> int:
    """Return the cores it may run on, at least one; a container's share of time is not seen."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
