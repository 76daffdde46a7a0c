"""Threads that give way to others, or do not interrupt them."""

import contextlib
import os
import sys
import threading

NICE = 10
"""Of every eleven slices of a core that both want, such a thread gets about one (Linux, CFS)."""


def give_way() -> None:
    """Lower this thread's priority, where threads have one of their own; elsewhere do nothing."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def interrupt_nobody() -> None:
    """Have this thread, and what it starts, wait for the end of a slice when it wakes (Linux).

    The scheduler stops whoever runs for a thread that has just woken. Here that is the event loop,
    hundreds of times a second under load, and who is stopped has images in its caches. A thread of
    policy "batch" begins at once where a core is free, and elsewhere when a slice is over, some
    milliseconds later (man sched, SCHED_BATCH). Another policy that an operator chose stays.
    """
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # where that is forbidden, it goes without
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
