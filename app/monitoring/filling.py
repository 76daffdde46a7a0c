"""Which images are in which window: counted in the state, so that it is the same whoever writes.

A window takes images that are not flagged, from a number on, until there are enough of them. Then
it waits for its test until what that says is in the state, too; so each is heard once, whatever
dies meanwhile. The images themselves lie in the log.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MOST_WAITING = 4
"""Windows that wait for their test; one that is filled then is skipped, and costs no promise."""
SPAN = 4
"""A window that so many times its size has not filled begins anew: nearly all are flagged."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A window being filled: from which number on, by how many images, of how many looked at."""

    since: int
    images: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A window that was filled and waits for its test: the numbers of its images, both included."""

    since: int
    last: int


class Fillings:
    """The window being filled, and those that wait."""

    def __init__(self, since: int) -> None:
        self.filling = Filling(since)
        self.waiting: list[Waiting] = []

    def add(self, number: int, size: int, *, inside: bool) -> bool:
        """Take in a monitored image; return whether it has filled a window that cannot wait."""
        known = self.filling
        self.filling = Filling(known.since, known.images + inside, known.seen + 1)
        is_full = self.filling.images >= size
        if is_full or self.filling.seen >= SPAN * size:
            self.filling = Filling(number + 1)
        if is_full and len(self.waiting) < MOST_WAITING:
            self.waiting.append(Waiting(known.since, number))
            return False
        return is_full

    def answered(self, window: Waiting) -> bool:
        """Let a window wait no more; return whether it did."""
        waits = window in self.waiting
        self.waiting = [each for each in self.waiting if each != window]
        return waits

    @property
    def since(self) -> int:
        """The number from which on images are in a window."""
        return min([self.filling.since, *(each.since for each in self.waiting)])

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"filling": asdict(self.filling), "waiting": [asdict(each) for each in self.waiting]}

    @classmethod
    def restored(cls, plain: Mapping[str, Any]) -> "Fillings":
        """Return what ``plain`` was made of."""
        found = cls(0)
        found.filling = Filling(**plain["filling"])
        found.waiting = [Waiting(**each) for each in plain["waiting"]]
        return found
