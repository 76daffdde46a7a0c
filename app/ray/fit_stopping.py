"""A run that is told to end, by SIGTERM or Ctrl-C, ends between two parts, never within one."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stop:
    """Raises KeyboardInterrupt where the program waits, as soon as it may."""

    def __init__(self) -> None:
        self._asked = False
        self._busy = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals; only a main thread gets any."""
        before = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError):
                before[number] = signal.signal(number, self._told)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def later(self) -> Iterator[None]:
        """Do something to its end, although the signal may come meanwhile."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        if self._asked:
            raise KeyboardInterrupt

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if not self._busy:
            raise KeyboardInterrupt
