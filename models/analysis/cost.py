"""What an SE block costs: parameters and operations, by formula.

For C channels, the reduction ratio r, a bottleneck of k = floor(C / r) and maps of P places
(h w pixels, t h w in a video), one sample::

    parameters = 2 C k + k + C    two matrices and their biases; 2 C^2 / r without the biases,
                                  where r divides C
    squeeze    = C P              additions
    excitation = 2 C k            multiplications, each with an addition
    scale      = C P              multiplications
    macs       = excitation + scale

A MAC is a multiplication, with or without an addition. Additions alone (the squeeze, biases, skip
connections) and what is done element by element to a map (activations, normalisation) are none.

Source: Hu et al., arXiv:1709.01507, section 4: equation 5 is the sum of 2 C^2 / r over the blocks.
The paper does not say what its FLOPs count. Counted so, its figures follow to the last digit that
it prints: 569 to 572 million for MobileNet (table 3), 3.86 to 3.87 thousand million for ResNet-50
(table 2); with the squeeze as well, MobileNet would come to 575.
"""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class SeCost:
    """What one SE block, or several together, cost; ``+`` adds them up."""

    parameters: int = 0
    squeeze: int = 0
    """Additions."""
    excitation: int = 0
    """Multiplications, each with an addition."""
    scale: int = 0
    """Multiplications."""

    @property
    def macs(self) -> int:
        """Multiplications, with or without an addition."""
        return self.excitation + self.scale

    def __add__(self, other: "SeCost") -> "SeCost":
        return SeCost(
            self.parameters + other.parameters,
            self.squeeze + other.squeeze,
            self.excitation + other.excitation,
            self.scale + other.scale,
        )


def se_cost(
    channels: int, reduction: int, places: tuple[int, ...] = (), *, bias: bool = True
) -> SeCost:
    """Return what one SE block costs for one sample.

    Args:
        channels: C.
        reduction: r.
        places: the sides of the maps, such as (h, w); their product is P.
        bias: whether the two linear maps have biases.

    Raises:
        ValueError: if the reduction ratio is not in 1..channels, or a side is not positive.
    """
    if not 1 <= reduction <= channels:
        raise ValueError(f"reduction must be in 1..{channels} (the channels), got {reduction}")
    if any(side < 1 for side in places):
        raise ValueError(f"sides must be 1 or more, got {places}")
    bottleneck = channels // reduction
    matrices = 2 * channels * bottleneck
    return SeCost(
        parameters=matrices + (bottleneck + channels if bias else 0),
        squeeze=channels * prod(places),
        excitation=matrices,
        scale=channels * prod(places),
    )
