"""A bar that shows how far something is, if one is wanted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """What is told how far it is."""

    def at(self, done: int, total: int) -> None:
        """Show so many of so many; a total of 0 is not known yet."""


class _Unseen:
    def at(self, done: int, total: int) -> None:
        pass


@contextmanager
def bar(wanted: bool, what: str) -> Iterator[Bar]:
    """Give a bar, or nothing to be seen; needs tqdm only if it is wanted."""
    if not wanted:
        yield _Unseen()
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit="image", total=0) as shown:

        class Shown:
            def at(self, done: int, total: int) -> None:
                shown.total = total or None
                shown.n = done
                shown.refresh()

        yield Shown()
