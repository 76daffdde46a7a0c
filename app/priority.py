"""Threads that give way to others."""

import os
import sys
import threading

NICE = 10
"""Of every eleven slices of a core that both want, such a thread gets about one (Linux, CFS)."""


def give_way() -> None:
    """Lower this thread's priority, where threads have one of their own; elsewhere do nothing."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
