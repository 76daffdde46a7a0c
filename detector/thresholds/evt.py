"""The threshold ``evt``: a generalised Pareto tail, to see beyond the calibration images."""

import math
from dataclasses import dataclass

import numpy as np

from detector.calibration import Calibration
from detector.errors import InsufficientCalibrationError, InvalidSpecError
from detector.thresholds.base import Rated, percent

LEAST_EXCESSES = 20
"""Scores in the tail below which its shape is a guess."""


@dataclass(frozen=True)
class Tail:
    """Generalised Pareto tail: P(s > start + y | s > start) = (1 + xi y / scale)^(-1 / xi).

    The shape is xi; ``share`` of the scores lie above the start, ``excesses`` in number.
    """

    start: float
    share: float
    excesses: int
    scale: float
    shape: float

    def quantile(self, upper: float) -> float:
        """Return the score that is exceeded with a probability below ``share``."""
        growth = math.log(self.share / upper)  # the excess in an exponential tail of scale 1
        if self.shape:
            growth = math.expm1(self.shape * growth) / self.shape
        return self.start + self.scale * growth


@dataclass(frozen=True)
class ExtremeValue(Rated):
    """The upper ``target`` point of a generalised Pareto law of the ``tail`` highest scores.

    The excesses y over the start u, the order statistic with ``tail`` of the scores above it, have
    for large u about a generalised Pareto law (Pickands 1975; Balkema & de Haan 1974). Its scale
    and shape xi follow from two probability-weighted moments, here as unbiased sums over the m
    ascending excesses::

        a0 = E[y] = scale / (1 - xi)                      mean of y_(i)
        a1 = E[y (1 - F(y))] = scale / (2 (2 - xi))       mean of (m - i) / (m - 1) y_(i)
        xi = 2 - a0 / (a0 - 2 a1)       scale = 2 a0 a1 / (a0 - 2 a1)

    Source: Hosking & Wallis, Technometrics 29:339-349 (1987), with xi = -k.
    Ours: where the fitted tail would end below the highest score, xi = -scale / y_(m), so that it
    ends there; at least 20 excesses.

    Raises:
        InvalidSpecError: if tail is not in (0, 1), or the target not below it.
    """

    tail: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.tail < 1:
            raise InvalidSpecError(f"tail must lie between 0 and 1, got {self.tail:g}")
        if self.target >= self.tail:
            raise InvalidSpecError(
                f"the target must lie in the tail, below {self.tail:g}, got {self.target:g}: for "
                f"such a rate take 'conformal'"
            )

    def fit(self, calibration: Calibration) -> Tail:
        """Return the fitted tail.

        Raises:
            InsufficientCalibrationError: if too few scores lie in the tail, or all that do are
                equal.
        """
        scores, n = calibration.ascending, len(calibration)
        wanted = math.floor(self.tail * n + 1e-9)
        start = scores[max(n - wanted - 1, 0)] if n else 0.0
        excesses = scores[scores > start] - start
        m = len(excesses)
        if m < LEAST_EXCESSES:
            raise InsufficientCalibrationError(self._refusal(n, wanted, m))
        top = excesses[-1]  # the unit, so that nothing overflows
        a0 = (excesses / top).mean()
        a1 = (np.arange(m - 1, -1, -1) / (m - 1) * (excesses / top)).mean()
        if a0 - 2 * a1 <= 1e-12:
            raise InsufficientCalibrationError(
                f"all {m} scores in the tail are equal: no tail can be fitted to them, however "
                f"many there are"
            )
        scale, shape = 2 * a0 * a1 / (a0 - 2 * a1), 2 - a0 / (a0 - 2 * a1)
        shape = max(shape, -scale)
        return Tail(float(start), m / n, m, float(scale * top), float(shape))

    def _refusal(self, n: int, wanted: int, found: int) -> str:
        least = math.ceil(LEAST_EXCESSES / self.tail - 1e-9)
        said = (
            f"a tail needs {LEAST_EXCESSES} scores above its start, there are {found} of {n}: at "
            f"least {least} calibration images would do"
        )
        return said if found == wanted else f"{said} if few scores were equal"

    def line(self, calibration: Calibration) -> float:
        """Return the fitted tail's quantile; never below its start."""
        tail = self.fit(calibration)
        return tail.quantile(min(self.target, tail.share))

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what it rests on."""
        tail, n = self.fit(calibration), len(calibration)
        reach = (
            f"It extrapolates beyond the {n} calibration images, none of which can show a rate "
            f"below 1/{n + 1}. "
            if self.target * (n + 1) < 1
            else ""
        )
        return (
            f"No promise: about {percent(self.target)} of new normal images are flagged if the "
            f"tail goes on like the generalised Pareto law (shape {tail.shape:.2g}) fitted to the "
            f"{tail.excesses} highest of {n} calibration scores. {reach}"
            f"{calibration.above(line)} calibration images lie above it."
        )
