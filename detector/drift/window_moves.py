"""Which channels, blocks and images moved, in nats a channel, each channel on its own.

With m the shift of a channel's mean in standard deviations of the N calibration rows, v the ratio
of variances, and n rows in the window::

    nats = 1/2 (m^2 + v - 1 - ln v) - null mean for one direction, n and N

A block's is the mean over its channels, so that wide blocks do not win by width; it is near 0, and
as often below, if nothing has changed. An image's is ln q(x) / p(x), q the window's normal density
of a channel and p the calibration's, on average over channels: as many images as there are in the
window average to what all channels do (chance included, and variances of the window over n).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from detector.divergence import null_mean

_LEAST_VARIANCE = 1e-6
"""Added to variances of standardised channels: one that is constant in both has not moved."""


@dataclass(frozen=True, slots=True)
class ChannelMove:
    """How far a channel has moved.

    Attributes:
        block: its name.
        channel: number in the block, from 0.
        shift_sd: of the mean, in standard deviations of the calibration, with sign.
        spread: standard deviation, as a multiple of the calibration's.
        nats: of both together, beyond chance.
    """

    block: str
    channel: int
    shift_sd: float
    spread: float
    nats: float


@dataclass(frozen=True, slots=True)
class BlockMove:
    """How far a block has moved, on average over its channels.

    Attributes:
        block: its name.
        shift_sd: root mean square of its channels' shifts, less what chance gives; 0 if that is
            more.
        spread: geometric mean of its channels' spreads.
        nats: a channel, beyond chance.
    """

    block: str
    shift_sd: float
    spread: float
    nats: float


@dataclass(frozen=True, slots=True)
class Moves:
    """Blocks in the order in which they run; channels, the most moved first."""

    blocks: tuple[BlockMove, ...]
    channels: tuple[ChannelMove, ...]

    def leading(self) -> tuple[str, ...]:
        """Return the blocks that moved at least half as far as the one that moved most."""
        most = max(block.nats for block in self.blocks)
        return tuple(each.block for each in self.blocks if each.nats >= most / 2 or most <= 0)


def moves(
    calibration: Float[np.ndarray, "N c"],
    window: Float[np.ndarray, "n c"],
    widths: Mapping[str, int],
    channels: int = 10,
) -> Moves:
    """Return what moved.

    Args:
        calibration: rows, their channels in standard deviations of what was fitted.
        window: rows in the same unit.
        widths: channels of each block, in order.
        channels: how many of the most moved are named.
    """
    variance = calibration.var(axis=0, ddof=1) + _LEAST_VARIANCE
    shift = (window.mean(axis=0) - calibration.mean(axis=0)) / np.sqrt(variance)
    ratio = (window.var(axis=0, ddof=1) + _LEAST_VARIANCE) / variance
    nats = (shift**2 + ratio - 1 - np.log(ratio)) / 2
    nats -= null_mean(1, len(window), len(calibration))
    chance = 1 / len(window) + 1 / len(calibration)
    ends = np.cumsum(list(widths.values()))
    blocks = tuple(
        BlockMove(
            name,
            float(np.sqrt(max(np.mean(shift[part] ** 2) - chance, 0))),
            float(np.exp(np.mean(np.log(ratio[part])) / 2)),
            float(np.mean(nats[part])),
        )
        for name, part in (
            (name, slice(end - width, end))
            for (name, width), end in zip(widths.items(), ends, strict=True)
        )
    )
    names = [(name, channel) for name, width in widths.items() for channel in range(width)]
    most = np.argsort(-nats, kind="stable")[:channels]
    return Moves(
        blocks,
        tuple(
            ChannelMove(
                names[i][0], names[i][1], float(shift[i]), float(np.sqrt(ratio[i])), float(nats[i])
            )
            for i in most
        ),
    )


def by_image(
    calibration: Float[np.ndarray, "N c"], window: Float[np.ndarray, "n c"]
) -> Float[np.ndarray, " n"]:
    """Return how far each image of the window has moved, in nats a channel."""
    variance = calibration.var(axis=0, ddof=1) + _LEAST_VARIANCE
    z = (window - calibration.mean(axis=0)) / np.sqrt(variance)
    v = (window.var(axis=0) + _LEAST_VARIANCE) / variance
    own = (z - z.mean(axis=0)) / np.sqrt(v)
    squares, own_squares = (np.einsum("nc,nc->n", each, each) for each in (z, own))
    found: np.ndarray = (squares - own_squares - np.sum(np.log(v))) / (2 * len(v))
    return found
