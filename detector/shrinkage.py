"""Oracle approximating shrinkage (OAS) of a covariance towards a multiple of the identity.

With S = scatter / n, d its width, mu = tr(S) / d::

    rho = min(1, ((1 - 2/d) tr(S^2) + tr(S)^2) / ((n + 1 - 2/d) (tr(S^2) - tr(S)^2 / d)))
    C   = (1 - rho) S + rho mu I

Source: Chen, Wiesel, Eldar & Hero, "Shrinkage algorithms for MMSE covariance estimation",
arXiv:0907.4698, equation 23. Ours, as in scikit-learn's ``oas``, whose results this equals: the
terms 2/d are dropped, which matters only for small d. rho depends on (n, d, S) alone, so it is
exact after any merge or forget of moments; Ledoit-Wolf's is not.
"""

import numpy as np
from jaxtyping import Float

from detector.errors import DegenerateDataError
from detector.moments import Moments

RELATIVE_VARIANCE_FLOOR = 1e-12
"""Least variance, relative to the mean square: below it, variation is rounding of float32."""


def oas(moments: Moments) -> tuple[Float[np.ndarray, "d d"], float]:
    """Return the shrunk covariance (d, d) and the shrinkage rho in [0, 1].

    Raises:
        DegenerateDataError: if there are fewer than two rows or they do not vary.
    """
    if moments.n < 2:
        raise DegenerateDataError(
            f"{moments.n} image(s) fitted: a covariance needs at least 2 different ones"
        )
    d = len(moments.mean)
    covariance = moments.scatter / moments.n
    level = float(np.trace(covariance)) / d
    if level <= RELATIVE_VARIANCE_FLOOR * float(np.mean(moments.mean**2)) or level == 0.0:
        raise DegenerateDataError(
            f"the {moments.n} fitted rows do not vary: fit samples of the normal state that differ"
        )
    mean_square = float(np.mean(covariance**2))
    denominator = (moments.n + 1) * (mean_square - level**2 / d)
    rho = 1.0 if denominator <= 0 else min(1.0, (mean_square + level**2) / denominator)
    covariance *= 1.0 - rho
    covariance[np.diag_indices(d)] += rho * level
    return covariance, rho
