"""Spatial focus: a squeeze through a mask that is learnt, and gates of the regions of a mask.

A mask m > 0 over the places i of a map, one for all samples and channels, is exp of the learnt
logits a::

    p_i = m_i / sum_j m_j = softmax(a)_i          m and 2 m are the same mask
    s_c = sum_i p_i x_ci                          the squeeze; m = 1: the mean

What training does to it::

    d s_c / d a_i = p_i (x_ci - s_c)

The gradient pushes the mask towards places whose features differ from the channel's current mean,
up where a larger s_c lowers the loss and x_ci > s_c, and leaves places alone that look like the
mean already. These derivatives sum to 0 over the places: mass is moved, not made. With m = exp(a)
the factor is p_i itself, for any x; a place that lost its mass is slow to regain it.

For a segmentation of the map into regions k, mask_k >= 0, the descriptor of a region is the gates
that the block would give if there were nothing else: the excitation of the mean over the region.

Sources: Hu et al., arXiv:1709.01507, section 3 (the squeeze without a mask); Cao et al., "GCNet:
non-local networks meet squeeze-excitation networks and beyond", arXiv:1904.11492, abstract, for
pooling by a softmax over places in an SE block.
Ours: a mask that does not depend on the input, its gradient, and gates by region.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from models import pooling
from models.pooling import Packing, Where
from models.squeeze_excite import SqueezeExcite
from models.squeezes import Squeeze


class MaskSqueeze(Squeeze):
    """The mean of every channel through a learnt mask: (b, c, h, w) -> (b, c).

    Maps of another size than the grid see its logits interpolated (bilinear). A new mask is 1
    everywhere.

    Args:
        grid: height and width of the mask.

    Raises:
        ValueError: if a side is not positive.
    """

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        if min(grid) < 1:
            raise ValueError(f"the sides of the grid must be 1 or more, got {grid}")
        self.logits = nn.Parameter(torch.zeros(grid))

    def mask(self, height: int, width: int) -> Float[Tensor, "h w"]:
        """Return the mask at a map's size; its greatest value is 1."""
        logits: Tensor = self.logits
        if logits.shape != (height, width):
            logits = functional.interpolate(
                logits[None, None], size=(height, width), mode="bilinear", align_corners=False
            )[0, 0]
        return (logits - logits.detach().amax()).exp()

    def forward(self, x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b k"]:
        """Return the squeeze; places count by the mask and, where given, times the weights.

        Raises:
            ValueError: if x is not a map (b, c, h, w), or the weights are not of shape (b, h, w).
        """
        if x.dim() != 4 or isinstance(where, Packing):
            got = "packed rows" if isinstance(where, Packing) else tuple(x.shape)
            raise ValueError(f"a mask lies over maps (b, c, h, w), got {got}")
        samples, _, height, width = x.shape
        mask = self.mask(height, width).expand(samples, -1, -1)
        if where is None:
            return pooling.mean(x, mask)
        if where.shape != mask.shape:
            expected = (samples, height, width)
            raise ValueError(f"weights must have shape {expected}, got {tuple(where.shape)}")
        return pooling.mean(x, mask * where)


def mask_gradient(
    x: Float[Tensor, "b c h w"], logits: Float[Tensor, "h w"]
) -> Float[Tensor, "b c h w"]:
    """Return d s_bc / d a_i = p_i (x_bci - s_bc), for every squeeze and every place.

    The gradient of a loss L is their sum over samples and channels, each times d L / d s_bc.
    """
    p = logits.flatten().softmax(dim=0).reshape(logits.shape)
    squeeze = (p * x).sum(dim=(2, 3), keepdim=True)
    return p * (x - squeeze)


def region_gates(
    block: SqueezeExcite, x: Float[Tensor, "..."], mask: Float[Tensor, "..."]
) -> Float[Tensor, "b k c"]:
    """Return the gates of every region: foreground against background, or the parts of a thing.

    Args:
        block: an SE block without context.
        x: the block's input, (b, c, h, w).
        mask: how much each place belongs to each of k regions, (b, k, h, w), >= 0. A region of a
            sample that has no place at all has the gates of the squeeze 0.

    Raises:
        ValueError: if x is not a map, or the mask is not of its samples, height and width.
    """
    if (
        x.dim() != 4
        or mask.dim() != 4
        or (mask.shape[0], *mask.shape[2:])
        != (
            x.shape[0],
            *x.shape[2:],
        )
    ):
        raise ValueError(
            "x must have shape (b, c, h, w) and the mask (b, k, h, w), got "
            f"{tuple(x.shape)} and {tuple(mask.shape)}"
        )
    gates = [block.excite(block.squeeze(x, region)) for region in mask.unbind(dim=1)]
    return torch.stack(gates, dim=1)
