"""What a program that ends waits for: threads in the midst of a runtime written in C++.

Python ends a daemon thread where it stands as soon as that wants to go on after the program's end;
in the midst of C++ that aborts the whole program, with an exit code as if it had failed.
"""

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager

END_S = 60.0
"""How long is waited for each."""

ending = threading.Event()
"""Set when the program ends."""
_waited_for: set[threading.Thread] = set()


@contextmanager
def waited_for() -> Iterator[None]:
    """Let a program that ends wait for what this thread does meanwhile.

    Raises:
        RuntimeError: if it ends already; then nothing is begun.
    """
    _waited_for.add(threading.current_thread())
    try:
        if ending.is_set():
            raise RuntimeError("the program ends")
        yield
    finally:
        _waited_for.discard(threading.current_thread())


@atexit.register
def _end() -> None:
    ending.set()
    for thread in [*_waited_for]:
        thread.join(END_S)
