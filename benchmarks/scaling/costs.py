"""The model: what an image asks of each station, linear in a few properties of the work.

With x = (1, megapixels, detectors - 1, detectors whose history is kept), an image takes of station
k the demand

    D_k = theta_k . x,    theta_k >= 0

(seconds of a core, bytes). theta is fitted to measured demands by non-negative least squares of
relative errors (Lawson & Hanson, *Solving Least Squares Problems*, 1974, ch. 23, as in SciPy), so
that a cheap configuration counts as much as a dear one. What a cluster serves then follows from the
bottleneck law (Lazowska et al., *Quantitative System Performance*, 1984, ch. 5): no station can do
more than its capacity C_k, so

    X <= min_k C_k / D_k
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked: an image of so many megapixels, scored by so many detectors, kept or not."""

    megapixels: float
    detectors: int = 1
    kept: bool = True

    @property
    def terms(self) -> NDArray[np.float64]:
        """The x of the model."""
        kept = self.detectors if self.kept else 0
        return np.array([1.0, self.megapixels, self.detectors - 1.0, float(kept)])


TERMS = ("an image", "a megapixel", "a further detector", "the history of each")


@dataclass(frozen=True, slots=True)
class Measured:
    """One configuration as it was measured at saturation.

    Attributes:
        work: what was asked.
        cores: that the servers could use, less what generator and database took of them.
        images_per_s: that were served.
        demands: of each station, per image.
    """

    work: Work
    cores: float
    images_per_s: float
    demands: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Costs:
    """theta of each station, and which share of its cores a server can use."""

    theta: Mapping[str, NDArray[np.float64]]
    utilisation: float

    def of(self, station: str, work: Work) -> float:
        """Return what an image takes of a station."""
        return float(self.theta[station] @ work.terms)

    def images_per_s(self, work: Work, cores: float) -> float:
        """Return what servers with so many cores would serve, if nothing else held them up."""
        return self.utilisation * cores / self.of(SERVER, work)


SERVER = "server_s"
"""Seconds of a core that a server takes for an image."""


def fitted(measured: Sequence[Measured]) -> Costs:
    """Return the costs that explain what was measured best; at least one for each term.

    Raises:
        ValueError: if the configurations do not tell the terms apart.
    """
    terms = np.stack([each.work.terms for each in measured])
    if np.linalg.matrix_rank(terms) < terms.shape[1]:
        raise ValueError("the configurations measured do not tell the terms apart: vary each")
    theta = {}
    for station in measured[0].demands:
        seen = np.array([each.demands[station] for each in measured])
        weights = 1 / np.maximum(seen, seen.max() * 1e-3)  # nothing costs nothing
        theta[station], _ = nnls(terms * weights[:, None], seen * weights)
    used = [each.images_per_s * each.demands[SERVER] / each.cores for each in measured]
    return Costs(theta, float(np.median(used)))


def error(costs: Costs, found: Measured) -> float:
    """Return how far a prediction of images a second is from what was measured, as a fraction."""
    return costs.images_per_s(found.work, found.cores) / found.images_per_s - 1
