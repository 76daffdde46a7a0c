"""Compound scaling: depth, width and resolution of an EfficientNet grow together.

For the compound coefficient phi, against the baseline B0 (phi = 0)::

    depth      = alpha^phi     blocks of a stage:    n -> ceil(depth n)
    width      = beta^phi      channels of a layer:  c -> the multiple of 8 nearest to width c
    resolution = gamma^phi     pixels a side:      224 -> round(224 resolution)

    alpha = 1.2, beta = 1.1, gamma = 1.15: alpha beta^2 gamma^2 = 1.92, near 2

Operations grow with depth, with width^2 and with resolution^2, so that they grow by about 2^phi.
Where rounding would take more than a tenth of the channels, it goes up instead.

B1 to B7 as published are no powers of one phi: the coefficients are rounded, and the depth of the
large ones lags behind. The phi that each published coefficient would need (``exponents``)::

              B0    B1    B2    B3    B4    B5    B6    B7
    depth    0.00  0.52  1.00  1.85  3.22  4.32  5.24  6.21
    width    0.00  0.00  1.00  1.91  3.53  4.93  6.17  7.27
    pixels   0.00  0.49  1.07  2.09  3.78  5.09  6.14  7.05

Source: Tan & Le, "EfficientNet", arXiv:1905.11946, equation 3 (powers), section 4 (alpha, beta,
gamma); the rounding and the published coefficients are those of the authors' code
(tensorflow/tpu, ``models/official/efficientnet``).
"""

import math
from dataclasses import dataclass

from models.families.units import require_positive

ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15
BASE_PX = 224
DIVISOR = 8


@dataclass(frozen=True, slots=True)
class Scaling:
    """How much deeper and wider than B0, for which images, and with how much dropout.

    Raises:
        ValueError: if width, depth or pixels are not positive, or dropout is not in [0, 1).
    """

    width: int | float
    depth: int | float
    side_px: int
    dropout: int | float = 0.2

    def __post_init__(self) -> None:
        require_positive(width=self.width, depth=self.depth, side_px=self.side_px)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    def channels(self, base: int) -> int:
        """Return how wide a layer is that has ``base`` channels in B0."""
        return round_channels(base * self.width)

    def blocks(self, base: int) -> int:
        """Return how many blocks a stage has that has ``base`` in B0."""
        return math.ceil(base * self.depth)


PUBLISHED = (
    Scaling(width=1.0, depth=1.0, side_px=224, dropout=0.2),
    Scaling(width=1.0, depth=1.1, side_px=240, dropout=0.2),
    Scaling(width=1.1, depth=1.2, side_px=260, dropout=0.3),
    Scaling(width=1.2, depth=1.4, side_px=300, dropout=0.3),
    Scaling(width=1.4, depth=1.8, side_px=380, dropout=0.4),
    Scaling(width=1.6, depth=2.2, side_px=456, dropout=0.4),
    Scaling(width=1.8, depth=2.6, side_px=528, dropout=0.5),
    Scaling(width=2.0, depth=3.1, side_px=600, dropout=0.5),
)
"""B0 to B7."""


def compound(phi: int | float) -> Scaling:
    """Return the pure powers for a compound coefficient, below 0 for networks smaller than B0."""
    return Scaling(width=BETA**phi, depth=ALPHA**phi, side_px=round(BASE_PX * GAMMA**phi))


def exponents(scaling: Scaling) -> tuple[float, float, float]:
    """Return the phi that depth, width and resolution would each need, as pure powers."""
    return (
        math.log(scaling.depth, ALPHA),
        math.log(scaling.width, BETA),
        math.log(scaling.side_px / BASE_PX, GAMMA),
    )


def round_channels(channels: int | float) -> int:
    """Return the nearest multiple of 8, at least 8, halves up; never less than 9/10 of it."""
    rounded = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * channels else rounded
