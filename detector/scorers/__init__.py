"""Scorers by name; a new one is a file here and a line in this table."""

from detector.scorers.base import Contributions, Distances, Scorer
from detector.scorers.fusion import Fusion
from detector.scorers.gaussian import Gaussian
from detector.scorers.kl import KullbackLeibler
from detector.scorers.prototype import Prototype
from detector.scorers.regional import Regional

SCORERS: dict[str, type[Scorer]] = {
    "fusion": Fusion,
    "gaussian": Gaussian,
    "regional": Regional,
    "kl": KullbackLeibler,
    "prototype": Prototype,
}
DEFAULT_SCORER = next(iter(SCORERS))

__all__ = [
    "DEFAULT_SCORER",
    "SCORERS",
    "Contributions",
    "Distances",
    "Scorer",
]
