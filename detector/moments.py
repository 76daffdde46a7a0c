"""Mergeable sufficient statistics of rows: count, mean and scatter, in float64.

For rows x_1..x_n in R^d::

    mean    = 1/n sum x_i                                  (d,)
    scatter = sum (x_i - mean)(x_i - mean)^T               (d, d)

``+`` merges the moments of disjoint sets, ``-`` takes a subset out again. With delta = mean_b -
mean_a::

    mean    = mean_a + delta n_b / n
    scatter = scatter_a + scatter_b + delta delta^T n_a n_b / n

Source: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", Stanford STAN-CS-79-773 (1979), equation 2.1 for the scalar case; here with outer
products.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean (d,) and scatter (d, d) of rows; immutable."""

    n: int
    mean: Float[np.ndarray, " d"]
    scatter: Float[np.ndarray, "d d"]

    @classmethod
    def empty(cls, d: int) -> "Moments":
        """Return the moments of no rows, the neutral element of ``+``."""
        return cls(0, np.zeros(d), np.zeros((d, d)))

    @classmethod
    def of(cls, rows: Float[np.ndarray, "n d"]) -> "Moments":
        """Return the moments of rows, (n, d); n may be 0."""
        rows = np.asarray(rows, dtype=np.float64)
        if not len(rows):
            return cls.empty(rows.shape[1])
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets together.

        Raises:
            ValueError: if the rows have different widths.
        """
        self._check_width(other)
        n = self.n + other.n
        delta = other.mean - self.mean
        weight = other.n / max(n, 1)  # empty + empty stays empty
        between = np.outer(delta, delta) * (self.n * weight)
        return Moments(n, self.mean + weight * delta, self.scatter + other.scatter + between)

    def __sub__(self, other: "Moments") -> "Moments":
        """Return the moments without a set that was merged before: as if it had never been seen.

        Raises:
            ValueError: if the rows have different widths or more would be forgotten than was seen.
        """
        self._check_width(other)
        n = self.n - other.n
        if n < 0:
            raise ValueError(f"cannot forget {other.n} rows of {self.n}")
        if n == 0:
            return Moments.empty(len(self.mean))
        mean = self.mean + (self.mean - other.mean) * (other.n / n)
        delta = other.mean - mean
        between = np.outer(delta, delta) * (n * other.n / self.n)
        return Moments(n, mean, self.scatter - other.scatter - between)

    def _check_width(self, other: "Moments") -> None:
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"rows of width {len(other.mean)} do not fit width {len(self.mean)}")
