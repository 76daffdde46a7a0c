"""What goes between the stages of a fit on Ray: chunks of prepared images, as columns of a table.

A column holds JSON text or bytes, so that nothing of ours is pickled between actors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from app.bulk.fragments import Fragment
from app.bulk.part import Seen
from app.results import Rejected

Batch = Mapping[str, Any]
"""Columns as Ray Data hands them over, by name."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Task:
    """A fragment to be read.

    Attributes:
        number: in the listing.
        fragment: the images.
        size: so many of them are a chunk, but for the last.
        done: chunks that need not be made.
    """

    number: int
    fragment: Fragment
    size: int
    done: Sequence[int] = ()

    @property
    def row(self) -> dict[str, str]:
        """As a row of Ray Data."""
        return {"task": json.dumps(asdict(self))}

    @classmethod
    def parse(cls, text: str) -> "Task":
        """Return the task of a row."""
        known = json.loads(text)
        fragment = known["fragment"]
        names = tuple(fragment["names"])
        found = Fragment(fragment["kind"], fragment["place"], names, fragment["state"])
        return cls(known["number"], found, known["size"], tuple(known["done"]))


class Key(TypedDict):
    """Which chunk of which fragment it is, and whether the fragment ends with it."""

    fragment: int
    chunk: int
    ends: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image that can be embedded: as ``Embedder.prepare`` leaves it."""

    name: str
    group: str
    sha256: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some images of a fragment, in its order: prepared, or with their problem."""

    key: Key
    images: Sequence[Prepared | Seen]

    @property
    def row(self) -> dict[str, list[Any]]:
        """As columns of one row."""
        pixels = [each.pixels for each in self.images if isinstance(each, Prepared)]
        about = {
            "key": self.key,
            "shape": pixels[0].shape if pixels else (),
            "images": [
                [each.name, each.group, each.sha256, _problem(each)] for each in self.images
            ],
        }
        joined = b"".join(each.tobytes() for each in pixels)
        return {"chunk": [json.dumps(about)], "pixels": [joined]}

    @classmethod
    def parse(cls, text: str, pixels: bytes) -> "Chunk":
        """Return the chunk of a row."""
        about = json.loads(text)
        images: list[Prepared | Seen] = []
        whole = np.frombuffer(pixels, np.uint8).reshape(-1, *about["shape"] or (1,))
        coming = iter(whole)
        for name, group, sha256, problem in about["images"]:
            if problem is None:
                images.append(Prepared(name, group, sha256, next(coming)))
            else:
                images.append(Seen(name, group, sha256, Rejected(name, problem)))
        return cls(about["key"], images)


def _problem(image: Prepared | Seen) -> dict[str, Any] | None:
    """Return the problem of an image that was left out."""
    if isinstance(image, Seen) and isinstance(image.outcome, Rejected):
        return dict(image.outcome.problem)
    return None
