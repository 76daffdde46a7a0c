"""Threads for the files of a folder, which nobody has to wait for.

A pool's threads are waited for when the program ends, however long a request takes that nobody
wants any more; these are not.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def started(work: Callable[[], T]) -> Future[T]:
    """Do work in a thread of its own; return what will have come of it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
