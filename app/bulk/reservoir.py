"""Images held out to calibrate on, with their rows: of all that were seen, those of smallest key.

A bottom-k sample (``detector.sample`` has the source): which images are kept depends on the set
alone, so the reservoir of a whole is that of its parts merged, in any order. A detector that was
fitted to all parts scores the rows later; nothing is read twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.storage.lineage import Image
from detector.rows import Rows


@dataclass(frozen=True, slots=True)
class Reservoir:
    """At most ``most`` images in ascending order of (key, name), their rows one by one; ``seen``
    of them all in all, copies included."""

    most: int
    keys: Sequence[int] = ()
    images: Sequence[Image] = ()
    rows: Rows | None = None
    seen: int = 0

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(
        cls, most: int, keys: Sequence[int], images: Sequence[Image], rows: Rows | None
    ) -> "Reservoir":
        """Return the reservoir of some images with these keys and rows."""
        return _smallest(most, keys, images, [] if rows is None else [rows], len(images))

    @classmethod
    def merged(cls, most: int, parts: Iterable["Reservoir"]) -> "Reservoir":
        """Return the reservoir of all that the parts have seen."""
        every = list(parts)
        return _smallest(
            most,
            [key for part in every for key in part.keys],
            [image for part in every for image in part.images],
            [part.rows for part in every if part.rows is not None],
            sum(part.seen for part in every),
        )


def _smallest(
    most: int, keys: Sequence[int], images: Sequence[Image], rows: Sequence[Rows], seen: int
) -> Reservoir:
    """Return those of smallest key; of copies, which share a key, the one of the first name."""
    order = sorted(range(len(keys)), key=lambda at: (keys[at], images[at].name))
    first = [at for place, at in enumerate(order) if not place or keys[order[place - 1]] < keys[at]]
    kept = first[:most]
    return Reservoir(
        most,
        [keys[at] for at in kept],
        [images[at] for at in kept],
        _take(rows, kept) if kept else None,
        seen,
    )


def _take(parts: Sequence[Rows], places: Sequence[int]) -> Rows:
    """Return rows at some places of all parts together, without joining what is not wanted."""
    ends = np.cumsum([len(part) for part in parts])
    which = np.asarray(places)
    owner = np.searchsorted(ends, which, side="right")
    begins = ends - [len(part) for part in parts]
    by_part = np.argsort(owner, kind="stable")
    taken = [
        part.take((which[owner == number] - begins[number]).tolist())
        for number, part in enumerate(parts)
        if (owner == number).any()
    ]
    back = np.argsort(by_part, kind="stable")
    return Rows.concatenate(taken).take(back.tolist())
