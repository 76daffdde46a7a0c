"""SE against batch normalisation: both rescale channels; what the factor depends on differs.

Either gives, for example b and channel c of a map x (b, c, *places), a line in x::

    y_bc = a_bc x_bc + o_bc

================================  ==============================  ============================
batch normalisation, training     a_c  = gamma_c / sqrt(v_c + e)  v of the batch: one factor for
                                                                  all its examples, another in
                                                                  other company
batch normalisation, evaluation   the same, v as remembered       frozen: one factor for every
                                                                  example there will ever be
SE, training and evaluation       a_bc = gain g_bc, o_bc = 0      of the example alone
================================  ==============================  ============================

So a frozen normalisation can be merged into the convolution before it, and an SE block cannot; and
its factor says nothing of an example, where the gate does.

``channel_factors`` does not trust the formulas: it measures a_bc on what the module gives, as the
slope of the least-squares line over the places, cov(x, y) / var(x).

Source: Ioffe & Szegedy, "Batch Normalization", arXiv:1502.03167, section 3.1; Hu et al.,
arXiv:1709.01507, section 3.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Rescaling:
    """The lines that a module draws: factor, offset, and how far it is from a line at most."""

    factor: Float[Tensor, "b c"]
    offset: Float[Tensor, "b c"]
    residual: float


def rescaling(module: nn.Module, x: Float[Tensor, "b c *places"]) -> Rescaling:
    """Return what the module does to each channel of each example of the batch.

    The module is left as it was, the statistics of a batch normalisation too.

    Raises:
        ValueError: if a channel of an example is constant, so that it shows no slope.
    """
    with torch.no_grad():
        y = copy.deepcopy(module)(x).flatten(2)
    x = x.flatten(2)
    variance, centre = torch.var_mean(x, dim=2, correction=0)
    if not bool((variance > 0).all()):
        raise ValueError("every channel of every example must vary over its places")
    level = y.mean(dim=2)
    covariance = ((x - centre[..., None]) * (y - level[..., None])).mean(dim=2)
    factor = covariance / variance
    offset = level - factor * centre
    residual = (y - factor[..., None] * x - offset[..., None]).abs().max()
    return Rescaling(factor, offset, residual.item())


def channel_factors(module: nn.Module, x: Float[Tensor, "b c *places"]) -> Float[Tensor, "b c"]:
    """Return the factor a_bc of every example, in this batch. Raises as ``rescaling`` does."""
    return rescaling(module, x).factor


def factors_alone(module: nn.Module, x: Float[Tensor, "b c *places"]) -> Float[Tensor, "b c"]:
    """Return the factor of every example when it is the whole batch. Raises as ``rescaling``."""
    return torch.cat([channel_factors(module, example[None]) for example in x])


def company_effect(module: nn.Module, x: Float[Tensor, "b c *places"]) -> float:
    """Return the greatest change of a factor that is due to the rest of the batch, relative.

    Raises as ``rescaling`` does.
    """
    alone = factors_alone(module, x)
    return ((channel_factors(module, x) - alone) / alone).abs().max().item()


def spread_over_examples(module: nn.Module, x: Float[Tensor, "b c *places"]) -> float:
    """Return how much the factors of one batch differ between examples, relative to their mean.

    Raises as ``rescaling`` does.
    """
    factor = channel_factors(module, x)
    return ((factor - factor.mean(dim=0)) / factor.mean(dim=0)).abs().max().item()
