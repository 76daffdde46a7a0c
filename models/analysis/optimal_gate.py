"""The best gate of a noisy channel: mean over variance, and the shrinkage that goes with it.

The model: channel c gives x_c = mu_c + sigma_c e_c, with noise e_c of mean 0 and variance 1,
independent between channels. Three questions, three gates:

1. *Restore each channel.* The squared error of g x as an estimate of mu is::

       E (g x - mu)^2 = (1 - g)^2 mu^2 + g^2 sigma^2

   Its derivative, -2 (1 - g) mu^2 + 2 g sigma^2, is 0 at the shrinkage gate (Wiener's)::

       g* = mu^2 / (mu^2 + sigma^2)              in [0, 1], without any constraint

2. *Make the sum of the gated channels stand out.* Its signal-to-noise ratio is::

       SNR(g) = (sum g_c mu_c)^2 / sum g_c^2 sigma_c^2

   By Cauchy and Schwarz on g sigma and mu / sigma it is at most S = sum mu_c^2 / sigma_c^2, and
   reaches it only at the matched gate (matched filter)::

       g*_c  proportional to  mu_c / sigma_c^2

   Gates are >= 0: a channel with mu_c < 0 is then best shut, and the others keep their gates.
   ``mu`` is what the channel adds to the readout: weight times mean, where weights are not 1.

3. *Read off the signal's strength.* The channels share a strength t, x_c = t mu_c + sigma_c e_c
   with E t^2 = 1, and sum g_c x_c estimates t. Setting the gradient of the error
   (1 - g.mu)^2 + sum g_c^2 sigma_c^2 to 0 gives::

       g*_c = (mu_c / sigma_c^2) / (1 + S)

   which is the matched gate, shrunk: the readout keeps g.mu = S / (1 + S) of the signal, the
   shrinkage gate for the SNR of all channels together. With one channel S / (1 + S) is
   mu^2 / (mu^2 + sigma^2), so the first gate is the third times mu.

In short: mu / sigma^2 says how channels compare, shrinkage how much of the whole to believe. That
an SE gate comes near either is not implied: it is trained for another loss.

Source: derived above; both filters are textbook results, under the names given.
"""

from jaxtyping import Float
from torch import Tensor


def restoration_error(
    gate: Float[Tensor, " c"], mu: Float[Tensor, " c"], sigma: Float[Tensor, " c"]
) -> Float[Tensor, " c"]:
    """Return E (g x - mu)^2 of every channel."""
    return ((1 - gate) * mu) ** 2 + (gate * sigma) ** 2


def shrinkage_gate(mu: Float[Tensor, " c"], sigma: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    """Return the gates of least ``restoration_error``, in [0, 1]. Raises as ``matched_gate``."""
    _check(sigma)
    return mu**2 / (mu**2 + sigma**2)


def signal_to_noise(
    gate: Float[Tensor, " c"], mu: Float[Tensor, " c"], sigma: Float[Tensor, " c"]
) -> Float[Tensor, ""]:
    """Return (sum g mu)^2 / sum g^2 sigma^2 of the gated sum, as a power ratio."""
    return (gate * mu).sum() ** 2 / ((gate * sigma) ** 2).sum()


def matched_gate(mu: Float[Tensor, " c"], sigma: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    """Return the gates >= 0 of greatest ``signal_to_noise``, the largest of them 1.

    Raises:
        ValueError: if a deviation, or every mean, is not positive.
    """
    _check(sigma)
    gate = (mu / sigma**2).clamp_min(0)
    if not bool(gate.max() > 0):
        raise ValueError(f"at least one mean must be positive, got {mu.tolist()}")
    return gate / gate.max()


def readout_error(
    gate: Float[Tensor, " c"], mu: Float[Tensor, " c"], sigma: Float[Tensor, " c"]
) -> Float[Tensor, ""]:
    """Return E (sum g x - t)^2 for channels that share a strength t of mean square 1."""
    return (1 - (gate * mu).sum()) ** 2 + ((gate * sigma) ** 2).sum()


def readout_gate(mu: Float[Tensor, " c"], sigma: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    """Return the weights of least ``readout_error``, of either sign. Raises as ``matched_gate``."""
    _check(sigma)
    return (mu / sigma**2) / (1 + (mu**2 / sigma**2).sum())


def _check(sigma: Tensor) -> None:
    if not bool((sigma > 0).all()):
        raise ValueError(f"deviations must be positive, got {sigma.tolist()}")
