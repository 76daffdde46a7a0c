"""Which reduction ratio: a model with one optimum, and gain per parameter from measured values.

The model is an assumption that makes a trade-off explicit, no law. A narrower bottleneck loses
capacity, taken to grow as r^2; a wider one costs parameters, 2 C^2 / r, at a fixed price each::

    L(r)  = kappa r^2 / 2 + lambda C^2 / r         lambda / 2 is the price of one parameter
    L'(r) = kappa r - lambda C^2 / r^2 = 0    at   r* = (lambda C^2 / kappa)^(1/3)
    L''   = kappa + 2 lambda C^2 / r^3 > 0         convex for r > 0, so r* is its one minimum;
                                                   L''(r*) = 3 kappa

It says that r should grow as C^(2/3): eight times the channels, four times the ratio, and that a
wrong guess of kappa by a factor of 8 moves r* by 2 only. Near the optimum the loss is flat:
L(r) - L(r*) = 3 kappa (r - r*)^2 / 2 + ...

Measured errors need not follow it: those of SE-ResNet-50 are level from r = 2 to 16 and rise at
32 (Hu et al., arXiv:1709.01507, section 6.1 and table 10). ``efficiency`` and
``marginal_efficiency`` assume no model.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

PER_MILLION = 1e6


def loss(ratio: float, channels: int, *, price: float, capacity: float) -> float:
    """Return L(r).

    Args:
        ratio: r.
        channels: C.
        price: lambda; a parameter costs lambda / 2.
        capacity: kappa.

    Raises:
        ValueError: if an argument is not positive.
    """
    _positive(ratio=ratio, channels=channels, price=price, capacity=capacity)
    return capacity * ratio**2 / 2 + price * channels**2 / ratio


def curvature(ratio: float, channels: int, *, price: float, capacity: float) -> float:
    """Return L''(r), positive everywhere. Arguments and errors as of ``loss``."""
    _positive(ratio=ratio, channels=channels, price=price, capacity=capacity)
    return capacity + 2 * price * channels**2 / ratio**3


def optimal_ratio(channels: int, *, price: float, capacity: float) -> float:
    """Return r*, not rounded and not held to 1..C. Arguments and errors as of ``loss``."""
    _positive(channels=channels, price=price, capacity=capacity)
    return math.cbrt(price * channels**2 / capacity)


def efficiency(gains: Sequence[float], parameters: Sequence[int]) -> list[float]:
    """Return what each choice gains per million parameters that it adds.

    Args:
        gains: over the network without SE, in the unit of your choice.
        parameters: added to it.

    Raises:
        ValueError: if there are not as many of one as of the other, or a count is not positive.
    """
    if len(gains) != len(parameters):
        raise ValueError(
            f"there must be as many gains as counts of parameters, got {len(gains)} and "
            f"{len(parameters)}"
        )
    for count in parameters:
        _positive(parameters=count)
    return [PER_MILLION * gain / count for gain, count in zip(gains, parameters, strict=True)]


def marginal_efficiency(gains: Sequence[float], parameters: Sequence[int]) -> list[float]:
    """Return, from the fewest parameters to the most, what each step gains per million it adds.

    The first step is from the network without SE. Where it falls below what a parameter is worth,
    the choice before was the better one.

    Raises:
        ValueError: as ``efficiency``, and if two choices add equally many.
    """
    efficiency(gains, parameters)  # for its errors
    choices = [(0, 0.0), *sorted(zip(parameters, gains, strict=True))]
    steps = list(pairwise(choices))
    return efficiency(
        [after[1] - before[1] for before, after in steps],
        [after[0] - before[0] for before, after in steps],
    )


def _positive(**values: float | int) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
