"""The threshold ``chi2``: a diagnostic, the quantile of a chi-square law fitted to the scores."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import gammainccinv

from detector.calibration import Calibration
from detector.errors import DegenerateDataError
from detector.thresholds.base import Rated, percent, require_images
from detector.thresholds.spread import mean_and_deviation

_POINT = 1e-15
"""Deviation over mean up to which the law is a point in double precision."""


@dataclass(frozen=True)
class ChiSquare(Rated):
    """The upper ``target`` quantile of g chi2(h), with the scores' mean m and variance v::

        g = v / (2 m)        h = 2 m^2 / v        so that g h = m and 2 g^2 h = v

    A squared Mahalanobis distance of Gaussian rows to their true mean and covariance is chi2(d);
    with an estimated covariance, sums over blocks and worst cells it is not. So mean and variance
    are matched instead of taking d for granted, and the statement says how far the QQ plot is from
    its diagonal: the root mean square distance of ordered scores from the law's quantiles at
    (i - 1/2) / n, in standard deviations of the scores. 0.1 is a fit for 100 scores, 0.4 is none.
    (The largest distance would say little: it is that of the highest scores, which scatter most.)
    Source: Box, Annals of Mathematical Statistics 25:290-302 (1954), for quadratic forms; the
    matching is that of Satterthwaite, Biometrics Bulletin 2:110-114 (1946).

    Raises:
        DegenerateDataError: in ``line``, if the mean of the scores is not positive.
    """

    def line(self, calibration: Calibration) -> float:
        """Return the fitted law's quantile."""
        require_images(calibration, 2, "the variance of a chi-square law")
        return float(self._quantiles(calibration, np.array([self.target]))[0])

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return how well the law fits."""
        n = len(calibration)
        upper = 1 - (np.arange(n) + 0.5) / n
        _, deviation = mean_and_deviation(calibration.ascending)
        gap = 0.0
        if deviation:
            off = (calibration.ascending - self._quantiles(calibration, upper)) / deviation
            gap = float(np.sqrt((off**2).mean()))
        return (
            f"A diagnostic that promises nothing: the {percent(self.target)} point of a chi-square "
            f"law with the mean and variance of the {n} calibration scores. "
            f"{calibration.above(line)} calibration images lie above it, where the law has "
            f"{self.target * n:.3g}; the QQ gap is {gap:.2f} standard deviations."
        )

    def _quantiles(
        self, calibration: Calibration, upper: Float[np.ndarray, " q"]
    ) -> Float[np.ndarray, " q"]:
        """Return the scores that the fitted law exceeds with these probabilities."""
        mean, deviation = mean_and_deviation(calibration.ascending)
        if mean <= 0:
            raise DegenerateDataError(
                f"a chi-square law has a positive mean, these scores have {mean:g}: take another "
                f"method"
            )
        if deviation <= _POINT * mean:
            return np.full(upper.shape, mean)
        half = (mean / deviation) ** 2  # h / 2, the shape of the same law as a gamma law
        quantiles: np.ndarray = gammainccinv(half, upper) / half * mean
        return quantiles
