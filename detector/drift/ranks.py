"""Randomised online conformal ranks: uniform as long as new scores are like all earlier ones.

With s_1..s_n the calibration scores and all scores since, in any order, and U uniform on (0, 1)::

    p = (#{i: s_i > s} + U (1 + #{i: s_i = s})) / (n + 1)            then s joins: n + 1

If all scores are exchangeable, the p are independent and uniform on (0, 1), whatever the
distribution of the scores, and for any n, 0 included.
Source: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (smoothed conformal
p-values); Vovk, "Testing randomness", arXiv:1906.09256.

Ours: bounded memory without giving that up. The first ``LIMIT`` scores are kept one by one. From
then on they are edges: a later score is only counted, at the edge it equals or in the gap between
two edges, and the formula is applied to these labels. p stays exactly uniform and independent of
the past. For given the order of all n earlier scores (no two equal), a new one falls into each of
the n + 1 gaps between them with the same chance; a gap between edges with m scores counted in it
is m + 1 of those, none of which is counted twice, and p is uniform over just their share. Edges may
be any order statistics; ties may shift a label's chance by 1 / (n + 1). What is lost is the order
within a gap, a two-thousandth of the scores. Ranking among a random or recent sample instead would
make the p dependent; among a fixed one, not uniform.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

LIMIT = 2048
_BLOCK = 64


class Ranks:
    """All scores since the baseline, as far as ranks need them.

    Attributes:
        n: how many scores they are.
    """

    __slots__ = ("_blocks", "_counts", "_edges", "_limit", "n")

    def __init__(self, scores: Float[np.ndarray, " n"], limit: int = LIMIT) -> None:
        """Begin with calibration scores, in any order, of any number."""
        self.n = len(scores)
        self._limit = limit
        # arrays, not lists: they are saved each second, and as quick to look up
        self._edges = array("d", np.sort(scores).astype(np.float64).tobytes())
        self._counts = array("q")  # by label, none as long as each score is an edge
        self._blocks: list[int] = []  # their sums in blocks, so that few need be added up
        if self.n >= limit:
            self._count()

    def place(self, score: float, u: float) -> float:
        """Return the rank p of a score from above, in [0, 1], and let the score join.

        Args:
            score: a finite number.
            u: uniform on [0, 1), independent of all scores.
        """
        edges = self._edges
        low = high = bisect_left(edges, score)
        if low < len(edges) and edges[low] == score:
            high = bisect_right(edges, score, low)
        if not self._counts:
            p = (self.n - high + u * (1 + high - low)) / (self.n + 1)
            edges.insert(high, score)
        else:
            label = low + high  # 2 j in the gap before edge j, 2 j + 1 at it
            block = label // _BLOCK
            above = sum(self._counts[label + 1 : (block + 1) * _BLOCK])
            above += sum(self._blocks[block + 1 :])
            p = (above + u * (1 + self._counts[label])) / (self.n + 1)
            self._counts[label] += 1
            self._blocks[block] += 1
        self.n += 1
        if self.n == self._limit:
            self._count()
        return p

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what a restart needs."""
        return {
            "edges": np.array(self._edges, dtype=np.float64),
            "counts": np.array(self._counts, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], limit: int = LIMIT) -> "Ranks":
        """Return the ranks as they were."""
        ranks = cls(np.zeros(0), limit)
        ranks._edges = array("d", arrays["edges"].tobytes())
        ranks.n = len(ranks._edges)
        if len(arrays["counts"]):
            ranks._take(arrays["counts"])
            ranks.n = sum(ranks._blocks)
        return ranks

    def _count(self) -> None:
        """Keep evenly spread scores as edges, and of the others only where they lie."""
        scores = np.array(self._edges)
        spread = np.linspace(0, len(scores) - 1, self._limit).astype(np.intp)
        edges = np.unique(scores[spread])
        labels = edges.searchsorted(scores) + edges.searchsorted(scores, side="right")
        self._edges = array("d", edges.tobytes())
        self._take(np.bincount(labels, minlength=2 * len(edges) + 1))

    def _take(self, counts: Int[np.ndarray, " labels"]) -> None:
        self._counts = array("q", counts.astype(np.int64).tobytes())
        self._blocks = np.add.reduceat(counts, np.arange(0, len(counts), _BLOCK)).tolist()
