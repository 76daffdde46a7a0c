"""Mean and standard deviation of scores of any size, without overflow."""

import numpy as np
from jaxtyping import Float


def mean_and_deviation(scores: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the mean and the standard deviation (n - 1) of at least two scores.

    Scores are scaled by a power of two, which is exact, and taken from the first of them, so that
    equal scores have exactly their value as mean and a deviation of zero.
    """
    exponent = int(np.frexp(np.abs(scores).max())[1])
    scaled = np.ldexp(scores, -exponent)
    mean = scaled[0] + (scaled - scaled[0]).mean()
    deviation = np.sqrt(((scaled - mean) ** 2).sum() / (len(scores) - 1))
    return float(np.ldexp(mean, exponent)), float(np.ldexp(deviation, exponent))
