"""What was used last, kept at hand; safe to share between threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """At most ``limit`` values by name; the one that was not used for longest goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[str, V] = OrderedDict()
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> V | None:
        """Return the value of that name, or None."""
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
            return self._values.get(name)

    def keep(self, name: str, value: V) -> V:
        """Keep a value and return it."""
        with self._lock:
            self._values[name] = value
            self._values.move_to_end(name)
            while len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value

    def made(self, name: str, make: Callable[[], V]) -> V:
        """Return the value; if there is none one thread makes it, and others wait for that.

        If it cannot be made, each who waited tries once more.
        """
        known = self.get(name)
        if known is not None:
            return known
        with self._lock:
            making = self._making.setdefault(name, threading.Lock())
        try:
            with making:
                known = self.get(name)
                return self.keep(name, make()) if known is None else known
        finally:
            with self._lock:
                self._making.pop(name, None)

    def drop(self, start: str) -> None:
        """Forget all values whose names begin like this."""
        with self._lock:
            for name in [name for name in self._values if name.startswith(start)]:
                del self._values[name]
