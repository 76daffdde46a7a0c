"""A bounded sample of what was fitted, mergeable like moments: the entries of smallest key.

An entry's key is a hash of its identity, so which entries are kept depends on the set alone, not on
the order or the parts in which it arrived (a bottom-k sample)::

    merge(a, b) = the ``limit`` entries of smallest key in the union of a and b

``-`` removes entries. What they had displaced does not come back: a sample that has forgotten may
hold fewer entries than one that never saw them, never others.

Source: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007 (the sketch and its
merge); here with equal weights and hashes of identity as ranks.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt64


@dataclass(frozen=True, slots=True)
class Sample:
    """At most ``limit`` entries: ascending keys (m,), and columns with one value per entry."""

    limit: int
    keys: UInt64[np.ndarray, " m"]
    columns: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, limit: int, identity: np.ndarray, **columns: np.ndarray) -> "Sample":
        """Return a sample of entries; entries of one identity, (m, ...), count once."""
        return cls(limit, keys_of(identity), columns)._smallest()

    def __len__(self) -> int:
        return len(self.keys)

    def __add__(self, other: "Sample") -> "Sample":
        """Return the sample of both sets together.

        Raises:
            ValueError: if the limits or columns differ.
        """
        if (self.limit, self.columns.keys()) != (other.limit, other.columns.keys()):
            raise ValueError("samples of different limits or columns do not merge")
        keys = np.concatenate([self.keys, other.keys])
        columns = {
            name: np.concatenate([values, other.columns[name]])
            for name, values in self.columns.items()
        }
        return Sample(self.limit, keys, columns)._smallest()

    def __sub__(self, other: "Sample") -> "Sample":
        """Return the sample without the entries of another."""
        return self._take(np.flatnonzero(~np.isin(self.keys, other.keys)))

    def _smallest(self) -> "Sample":
        _, first = np.unique(self.keys, return_index=True)  # sorted by key
        return self._take(first[: self.limit])

    def _take(self, index: np.ndarray) -> "Sample":
        columns = {name: values[index] for name, values in self.columns.items()}
        return Sample(self.limit, self.keys[index], columns)


def keys_of(identity: np.ndarray) -> UInt64[np.ndarray, " m"]:
    """Return a 64-bit hash of every entry of (m, ...)."""
    hashes = (hashlib.blake2b(each.tobytes(), digest_size=8).digest() for each in identity)
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)
