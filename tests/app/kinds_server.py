"""A server process with kinds of data that learn within a second, beside the stub for images.

``series`` is the kind of the documentation. ``scaled`` is one whose samples are a series and a text
beside it: by how much it is to be multiplied. ``points`` is one whose samples are JSON.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).with_name("kinds")))
from documented_kind import documented_kind

from detector import kinds
from models.plan import Plan

series = documented_kind()
Series: Any = type(series)
COMMAND = [sys.executable, __file__]
"""What starts such a server."""
BRIEF = Plan(batch=8, steps=4, rounds=1)


class Scaled(Series):
    """A series, and by how much it is to be multiplied."""

    name = "scaled"
    pairs = True

    def pair(self, file: bytes, text: str) -> bytes:
        """Return the series multiplied, without names."""
        _, *rows = file.decode().splitlines()
        table = np.array([row.split(",") for row in rows], dtype=float) * float(text)
        return "\n".join(",".join(f"{value:.6f}" for value in row) for row in table).encode()


class Points(Series):
    """The rows of a series as JSON, numbers in arrays."""

    name = "points"
    media_types = ("application/json",)
    suffixes = (".json",)
    json = True

    def decode(self, content: bytes, view: Any) -> Any:
        """Return the series in ``{"rows": [[...], ...]}`` or in the array alone."""
        found = json.loads(content)
        rows = found["rows"] if isinstance(found, dict) else found
        text = "\n".join(",".join(map(str, row)) for row in rows)
        return super().decode(text.encode(), view)


def added(patch: pytest.MonkeyPatch) -> None:
    """Add the kinds to the registry."""
    patch.setattr(Series, "plan", BRIEF)
    for each in (series, Scaled(), Points()):
        patch.setitem(kinds.KINDS, each.name, each)


@contextmanager
def known() -> Iterator[None]:
    """Have the kinds in the registry for a while."""
    with pytest.MonkeyPatch.context() as patch:
        added(patch)
        yield


def csv_of(seed: int, *, odd: bool = False) -> bytes:
    """Return a series of two waves; an odd one is louder for a while."""
    rng = np.random.default_rng([seed, odd])
    moments = np.arange(80)
    phases = rng.uniform(0, 6, 2)
    table = np.stack([np.sin(moments / 7 + phases[0]), np.cos(moments / 11 + phases[1])], axis=1)
    table += rng.normal(0, 0.1, table.shape)
    if odd:
        table[30:50] *= 4
    rows = (",".join(f"{value:.6f}" for value in row) for row in table)
    return "\n".join(["left,right", *rows]).encode()


def points_of(seed: int, *, odd: bool = False) -> list[list[float]]:
    """Return the rows of such a series."""
    _, *rows = csv_of(seed, odd=odd).decode().splitlines()
    return [[float(value) for value in row.split(",")] for row in rows]


if __name__ == "__main__":
    from faulty_server import main

    with known():
        sys.exit(0 if main() else 1)
