"""What a gate does to a channel of a sequence: its amplitude times g_c, its energy times g_c^2.

For a sequence x (c, t), its weights w >= 0 over time (all 1 without padding), and the block's
output y_c(t) = gain g_c x_c(t), whose gate does not depend on t::

    energy_c(x)    = sum over t of w(t) x_c(t)^2
    amplitude_c(x) = sqrt(energy_c(x))                     the L2 norm over time

    amplitude_c(y) = gain g_c amplitude_c(x)
    energy_c(y)    = (gain g_c)^2 energy_c(x)
    Y_c(f)         = gain g_c X_c(f)                       at every frequency f

A gate is an equaliser's fader, with no filter in it: it lifts or lowers a whole channel, moves
nothing in time or frequency, and never adds energy while gain g_c <= 1. "Energy scales by exactly
g_c" holds for the amplitude; for the energy it is the square.

Source: ours; elementary, from equation 4 of Hu et al., arXiv:1709.01507 (scale), and the linearity
of the Fourier transform.
"""

from jaxtyping import Float
from torch import Tensor

from models import pooling


def channel_energy(
    x: Float[Tensor, "b c t"], weights: Float[Tensor, "b t"] | None = None
) -> Float[Tensor, "b c"]:
    """Return the energy of every channel; places of weight 0 have none."""
    return pooling.total(x**2, weights)


def channel_amplitude(
    x: Float[Tensor, "b c t"], weights: Float[Tensor, "b t"] | None = None
) -> Float[Tensor, "b c"]:
    """Return the amplitude of every channel, the square root of its energy."""
    return channel_energy(x, weights).sqrt()


def gated_energy(
    energy: Float[Tensor, "b c"], gate: Float[Tensor, "b c"], gain: float = 1.0
) -> Float[Tensor, "b c"]:
    """Return the energy of every channel behind a block with these gates."""
    return (gain * gate) ** 2 * energy


def gated_amplitude(
    amplitude: Float[Tensor, "b c"], gate: Float[Tensor, "b c"], gain: float = 1.0
) -> Float[Tensor, "b c"]:
    """Return the amplitude of every channel behind a block with these gates."""
    return abs(gain) * gate * amplitude
