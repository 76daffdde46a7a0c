"""The gate before or after the ReLU: the same output, but another squeeze.

The ReLU is positively homogeneous, relu(g x) = g relu(x) for g >= 0, and gates are >= 0. So for the
*same* gate both orders give equal outputs, hence equal means m and variances v over samples, and an
equal signal-to-noise ratio m^2 / v; and that ratio is the one without a gate, since a factor
g > 0 multiplies m^2 and v alike.

What differs is what the gate is told. For a channel that is normal, x ~ N(m, s^2), the mean before
the ReLU is m; behind it::

    E relu(x)   = m Phi(m/s) + s phi(m/s)
    E relu(x)^2 = (m^2 + s^2) Phi(m/s) + m s phi(m/s)

with Phi and phi the normal distribution function and density. So behind the ReLU the squeeze also
tells the spread: channels of mean 0 look alike before it, and differ as s / sqrt(2 pi) behind it;
before it, it tells how far below zero a channel lies, which is all but lost behind it. It is never
below max(m, 0) (Jensen). With the same weights the two orders therefore have different gates.

Source: derived above; the moments are those of the rectified normal distribution. Hu et al.,
arXiv:1709.01507, section 6.5, compare other places of the block, not these two.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def gate_before(
    x: Float[Tensor, "b c *places"], gate: Float[Tensor, "..."]
) -> Float[Tensor, "b c *places"]:
    """Return relu(g x); the gate, (b, c) or less, has axes of length 1 for the places."""
    return torch.relu(gate * x)


def gate_after(
    x: Float[Tensor, "b c *places"], gate: Float[Tensor, "..."]
) -> Float[Tensor, "b c *places"]:
    """Return g relu(x); the gate, (b, c) or less, has axes of length 1 for the places."""
    return gate * torch.relu(x)


def signal_to_noise(x: Float[Tensor, "b c *places"]) -> Float[Tensor, " c"]:
    """Return mean^2 / variance of every channel, over all samples and places.

    A channel that is constant has an infinite ratio; one that is 0 throughout has none (nan).
    """
    others = tuple(axis for axis in range(x.dim()) if axis != 1)
    variance, mean = torch.var_mean(x, dim=others, correction=0)
    return mean**2 / variance


def rectified_mean(
    mean: Float[Tensor, " c"], deviation: Float[Tensor, " c"]
) -> Float[Tensor, " c"]:
    """Return E relu(x) of x ~ N(mean, deviation^2): the squeeze behind the ReLU.

    Raises:
        ValueError: if a deviation is not positive.
    """
    below, density = _normal(mean, deviation)
    return mean * below + deviation * density


def rectified_signal_to_noise(
    mean: Float[Tensor, " c"], deviation: Float[Tensor, " c"]
) -> Float[Tensor, " c"]:
    """Return mean^2 / variance of relu(x) for x ~ N(mean, deviation^2), whatever gate g > 0.

    Raises:
        ValueError: if a deviation is not positive.
    """
    below, density = _normal(mean, deviation)
    power = (mean**2 + deviation**2) * below + mean * deviation * density
    square = (mean * below + deviation * density) ** 2
    return square / (power - square)


def _normal(mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Return Phi(m/s) and phi(m/s)."""
    if not bool((deviation > 0).all()):
        raise ValueError(f"deviations must be positive, got {deviation.tolist()}")
    z = mean / deviation
    return torch.special.ndtr(z), torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
