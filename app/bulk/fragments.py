"""The images of a fit at large, as fragments: what one process reads at a time, never split.

Sources are listed alike by every process that is given the same ones, so that they can share the
fragments without talking: shard i of N has those whose number leaves i - 1 when divided by N.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from detector.errors import InvalidSpecError

FRAGMENT_IMAGES = 64
"""Images that lie alone are put into fragments of so many."""

Kind = Literal["files", "objects", "tar", "parquet"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some images that lie together.

    Attributes:
        kind: images alone in a folder or a bucket, a tar file (WebDataset's form), or row groups
            of a Parquet file.
        place: the folder, the bucket's URL, or the file.
        names: of images that lie alone, below the place; else which parts of the file, if not all.
        state: what tells the files from others that are called alike (``state_of``).
    """

    kind: Kind
    place: str
    names: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a fragment; ``name`` is unique among all fragments.

    ``is_rest`` says that it stands for the rest of a damaged file, of who knows how many images.
    """

    name: str
    group: str
    read: Callable[[], bytes]
    """Raises an SampleError if the bytes cannot be had; so does StorageUnavailableError pass."""
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``of`` shares of the work, counted from 1.

    Raises:
        InvalidSpecError: if there can be no such shard.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise InvalidSpecError(f"there is no shard {self}: from 1/{self.of} to {self.of}/...")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def share(self, fragments: Sequence[Fragment]) -> list[Fragment]:
        """Return its fragments."""
        return list(fragments[self.number - 1 :: self.of])


def state_of(states: Iterable[str]) -> str:
    """Return what stands for the states of some files: sizes with times, or tags, of a bucket's."""
    return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]


def digest(fragments: Sequence[Fragment]) -> str:
    """Return what tells a listing from others: parts of different listings do not add up."""
    listed = [[each.kind, each.place, each.names, each.state] for each in fragments]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
