"""Which chunks of which fragments a fit on Ray has counted, so that each is counted once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.bulk.errors import PartsMismatchError
from app.bulk.fragments import Fragment
from app.ray.fit_chunks import Key, Task


class Counted:
    """Fragments that are counted in whole, and chunks of the others, of ``size`` images each."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._whole: set[int] = set()
        self._chunks: dict[int, set[int]] = {}
        self._last: dict[int, int] = {}

    def add(self, keys: Sequence[Key]) -> bool:
        """Note chunks that have come together; return whether they are new.

        Ray may do again what a lost machine had done, and gives the result once. If it came twice
        it would be the same chunks together, for it is the same call.

        Raises:
            PartsMismatchError: if some are new and others are not.
        """
        known = [self._has(key) for key in keys]
        if all(known):
            return False
        if any(known):
            raise PartsMismatchError("some images of a part were counted before, others were not")
        for key in keys:
            self._add(key)
        return True

    def _has(self, key: Key) -> bool:
        number = key["fragment"]
        return number in self._whole or key["chunk"] in self._chunks.get(number, ())

    def _add(self, key: Key) -> None:
        number = key["fragment"]
        chunks = self._chunks.setdefault(number, set())
        chunks.add(key["chunk"])
        if key["ends"]:
            self._last[number] = key["chunk"]
        if len(chunks) == self._last.get(number, -2) + 1:
            self._whole.add(number)
            del self._chunks[number], self._last[number]

    def left(self, fragments: Sequence[Fragment]) -> list[Task]:
        """Return what is still to be read."""
        return [
            Task(number, fragment, self.size, sorted(self._chunks.get(number, ())))
            for number, fragment in enumerate(fragments)
            if number not in self._whole
        ]

    @property
    def noted(self) -> dict[str, Any]:
        """What ``of`` makes the same of, as JSON."""
        parts = {
            str(number): [sorted(chunks), self._last.get(number)]
            for number, chunks in self._chunks.items()
        }
        whole = list(_ranges(sorted(self._whole)))
        return {"size": self.size, "whole": whole, "parts": parts}

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> "Counted":
        """Return what was noted."""
        counted = cls(noted["size"])
        for first, end in noted["whole"]:
            counted._whole.update(range(first, end))
        for number, (chunks, last) in noted["parts"].items():
            counted._chunks[int(number)] = set(chunks)
            if last is not None:
                counted._last[int(number)] = last
        return counted


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield numbers in ascending order as ranges: the first, and the one after the last."""
    first = end = -1
    for number in numbers:
        if number != end:
            if end >= 0:
                yield first, end
            first = number
        end = number + 1
    if end >= 0:
        yield first, end
