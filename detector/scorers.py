"""Scorers: distance of an image's rows from the normal ones; higher is always more anomalous.

With x_l the row of block l and mu_l, C_l its fitted mean and covariance (OAS)::

    prototype   score = sqrt(sum_l |x_l - mu_l|^2)
    gaussian    score = sum_l sqrt((x_l - mu_l)^T C_l^-1 (x_l - mu_l))

A scorer is built from moments and never changes. It returns one contribution per block, (n,
blocks), whose sum over blocks is the score: d_l^2 / score for the prototype, the distance for the
Gaussian.

Source: Rippel, Mertens & Merhof, "Modeling the distribution of normal data in pre-trained deep
features for anomaly detection", arXiv:2005.14140 (Mahalanobis per block, summed).
Ours: OAS for Ledoit-Wolf, squeeze statistics for means.
"""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from detector.descriptors import BlockRows
from detector.errors import DegenerateDataError
from detector.moments import BlockMoments
from detector.shrinkage import oas

Contributions = Float[np.ndarray, "n blocks"]


class Scorer(ABC):
    """Rows to contributions; the score is their sum over blocks."""

    default_descriptor: str

    @abstractmethod
    def __init__(self, moments: BlockMoments) -> None:
        """Prepare from the moments of every block.

        Raises:
            DegenerateDataError: if the fitted rows define no distance.
        """

    @abstractmethod
    def contributions(self, rows: BlockRows) -> Contributions:
        """Return the part of every block in the score, (n, blocks), finite and >= 0."""


class Prototype(Scorer):
    """Euclidean distance to the mean row."""

    default_descriptor = "gate"

    def __init__(self, moments: BlockMoments) -> None:
        if not all(part.n for part in moments.values()):
            raise DegenerateDataError("no image fitted: fit pictures of the normal state")
        self._means = {block: part.mean for block, part in moments.items()}

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return squared distances per block over the whole distance."""
        squares = np.stack(
            [np.sum((rows[b] - mean) ** 2, axis=1) for b, mean in self._means.items()], axis=1
        )
        distance = np.sqrt(squares.sum(axis=1, keepdims=True))
        shares: Contributions = np.divide(
            squares, distance, out=np.zeros_like(squares), where=distance > 0
        )
        return shares


class Gaussian(Scorer):
    """Sum over blocks of the Mahalanobis distance, through a Cholesky factor."""

    default_descriptor = "squeeze_stats"

    def __init__(self, moments: BlockMoments) -> None:
        self._factors = {}
        for block, part in moments.items():
            try:
                covariance, _ = oas(part)
                self._factors[block] = (part.mean, cholesky(covariance, lower=True))
            except (DegenerateDataError, LinAlgError) as error:
                raise DegenerateDataError(f"block {block}: {error}") from error

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return the Mahalanobis distance per block."""
        return np.stack(
            [
                np.linalg.norm(solve_triangular(factor, (rows[block] - mean).T, lower=True), axis=0)
                for block, (mean, factor) in self._factors.items()
            ],
            axis=1,
        )


SCORERS: dict[str, type[Scorer]] = {"prototype": Prototype, "gaussian": Gaussian}
