"""Where a gate stands decides what becomes of the gradient: on the branch, or on the skip path.

For a block with input x (c), branch F and gate g = g(x), both taken on flat vectors::

    residual gating   y = x + g * F(x)     dy/dx = I       + diag(g) F' + diag(F) g'
    identity gating   y = g * x + F(x)     dy/dx = diag(g) +         F' + diag(x) g'

With the gate held constant the last term is gone. Over L blocks the path that meets no weights
carries the factor::

    residual   I                           the gradient arrives, however deep
    identity   diag(g_L * ... * g_1)       it shrinks as g^L: to 1/1024 by ten gates of 1/2

and the weights cannot make up for it while they are small. With a >= ||F'||, constant gates and
products over the blocks, the singular values of the whole Jacobian lie in::

    residual   prod max(0, 1 - a max g)      ..  prod (1 + a max g)
    identity   prod max(0, min g - a)        ..  prod (max g + a)

so that identity gating chokes the gradient for certain where max g + a < 1 in all blocks, and
residual gating never does while a max g is small.

This speaks of depth and of small branches, not of every network: with 16 blocks, stages that begin
without an identity path, and batch normalisation, Hu et al. measured no harm (arXiv:1709.01507,
table 14, "SE-Identity").

Source: He, Zhang, Ren & Sun, "Identity Mappings in Deep Residual Networks", arXiv:1603.05027,
section 3, equations 6 to 8 (lambda_l is our g; "h'" covers gates that depend on x). The bounds are
the triangle inequality for singular values, block by block.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.squeeze_excite import SqueezeExcite

Placement = Literal["residual", "identity"]


def residual_jacobian(
    gate: Float[Tensor, " c"],
    branch_slope: Float[Tensor, "c c"],
    branch: Float[Tensor, " c"] | None = None,
    gate_slope: Float[Tensor, "c c"] | None = None,
) -> Float[Tensor, "c c"]:
    """Return dy/dx of y = x + g * F(x).

    Args:
        gate: g.
        branch_slope: F', rows are outputs.
        branch: F(x); without it and g' the gate is held constant.
        gate_slope: g'.
    """
    return torch.eye(len(gate)).to(gate) + gate[:, None] * branch_slope + _moved(branch, gate_slope)


def identity_jacobian(
    gate: Float[Tensor, " c"],
    branch_slope: Float[Tensor, "c c"],
    x: Float[Tensor, " c"] | None = None,
    gate_slope: Float[Tensor, "c c"] | None = None,
) -> Float[Tensor, "c c"]:
    """Return dy/dx of y = g * x + F(x); without x and g' the gate is held constant."""
    return torch.diag(gate) + branch_slope + _moved(x, gate_slope)


def _moved(gated: Tensor | None, gate_slope: Tensor | None) -> Tensor | float:
    """Return the term that comes of the gate itself depending on x."""
    return 0.0 if gated is None or gate_slope is None else gated[:, None] * gate_slope


def skip_factor(gates: Float[Tensor, "l c"], placement: Placement) -> Float[Tensor, " c"]:
    """Return what the path that meets no weights makes of the gradient, over l blocks."""
    return gates.prod(dim=0) if placement == "identity" else torch.ones_like(gates[0])


def gradient_bounds(
    gates: Float[Tensor, "l c"], branch_norms: Float[Tensor, " l"], placement: Placement
) -> tuple[float, float]:
    """Return bounds on every singular value of the Jacobian of l blocks, gates held constant.

    A gradient's norm is multiplied by no less than the first and no more than the second.

    Args:
        gates: g of every block, >= 0.
        branch_norms: a, the spectral norm of every F', or a number above it.
        placement: where the gates stand.
    """
    greatest = gates.amax(dim=1)
    if placement == "residual":
        least, most = 1 - branch_norms * greatest, 1 + branch_norms * greatest
    else:
        least, most = gates.amin(dim=1) - branch_norms, greatest + branch_norms
    return least.clamp_min(0).prod().item(), most.prod().item()


class GatedBlock(nn.Module):
    """x + SE(F(x)), or SE(x) + F(x), with F(x) = scale * conv(relu(x)): (b, c, h, w) -> same.

    Args:
        channels: c.
        placement: where the SE block stands.
        scale: how strong the branch is beside the skip path.
        reduction: r of the SE block.
    """

    def __init__(
        self, channels: int, placement: Placement, *, scale: float, reduction: int = 4
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gate = SqueezeExcite(channels, reduction)
        self.placement, self.scale = placement, scale

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the block's output."""
        branch = self.scale * self.conv(torch.relu(x))
        on_branch = self.placement == "residual"
        gated: Tensor = self.gate(branch if on_branch else x)
        return gated + (x if on_branch else branch)


def gradient_norms(
    blocks: Sequence[Callable[[Tensor], Tensor]],
    x: Float[Tensor, "..."],
    gradient: Float[Tensor, "..."],
) -> list[float]:
    """Return the gradient's norm before each block and, last, behind all: l + 1 numbers.

    Args:
        blocks: run one after another.
        x: what the first takes.
        gradient: of the loss with respect to what the last gives.
    """
    levels = [x.detach().requires_grad_()]
    for block in blocks:
        levels.append(block(levels[-1]))
    gradients = torch.autograd.grad(levels[-1], levels, gradient)
    return [float(g.norm()) for g in gradients]
