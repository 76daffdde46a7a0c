"""Where a score comes from: every place of every block's map with its exact share of the score.

The row r of a block holds mean, deviation and maximum of each channel of its map x (c, *places),
over places that count by w (sum w = 1), or the means alone. The scorer gives for each coordinate j
a slope a_j and the normal value m_j, such that the block's part of the score is the sum of
t_j = a_j (r_j - m_j) (``Scorer.coordinates``). Each t_j goes to the places that made r_j::

    mean of a channel        w_p (a_j (x_cp - mean_c) + t_j)         how far off the place is
    deviation of a channel   t_j w_p (x_cp - mean_c)^2 / variance_c  w_p t_j where nothing varies
    maximum of a channel     t_j / number of places that have it     at those places, 0 elsewhere

The first is a_j w_p (x_cp - m_j), but that t_j is the scorer's, of a row in float32. So the shares
of all blocks sum to the score of the sample, run alone; in a batch the score may differ by
rounding. A share below 0 speaks for the sample. Places that do not count, such as padding, have 0.

Rows that are divided by their length (``normalise=l2``) or projected because they are wider than
512 are refused: which place made a coordinate of theirs is not told by this.

A place of a deep map is what the network made of a neighbourhood in the sample; how large that is
depends on the network. The decomposition is ours.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from detector.detector import Detector
from detector.embedder import Embedder
from detector.errors import NoMapError
from detector.projection import MAX_WIDTH

SCORERS_WITH_PLACES = ("gaussian", "prototype")
"""Scorers that are made of coordinates (``Scorer.coordinates``)."""
STATISTICS = {"squeeze": 1, "squeeze_stats": 3}
"""Descriptor -> how many coordinates a channel has; of those that are made of places."""


def shares(
    detector: Detector, embedder: Embedder, sample: np.ndarray
) -> Mapping[str, Float[np.ndarray, "..."]]:
    """Return, by block, the share of the score of every place of the block's map, (*places).

    Args:
        detector: fitted.
        embedder: of the backbone it was fitted on.
        sample: prepared.

    Raises:
        NotFittedError: if nothing was fitted.
        NoMapError: if the detector's score is no sum over places; the message says which are.
        DeviceMemoryError, DeviceLostError, BackboneError: as ``Embedder.maps``.
    """
    require_places(detector, embedder)
    embedding, maps = embedder.maps(sample)
    rows = detector.rows(embedding).blocks
    slopes = detector._scorer.coordinates(rows)
    if slopes is None:
        raise _refused(f"scorer {detector.spec.scorer!r}")
    return {
        block: given_to_places(
            maps[block].x, maps[block].share, rows[block][0], part.normal, part.slope[0]
        )
        for block, part in slopes.items()
    }


def require_places(detector: Detector, embedder: Embedder) -> None:
    """Refuse what tells of no place, before a sample is seen.

    Raises:
        NotFittedError, NoMapError: as ``shares``.
    """
    detector.require_fitted()
    spec = detector.spec
    statistics = STATISTICS.get(spec.descriptor)
    if statistics is None:
        raise _refused(f"descriptor {spec.descriptor!r}")
    if spec.options.normalise == "l2":
        raise _refused("normalise 'l2'")
    if spec.scorer not in SCORERS_WITH_PLACES:
        raise _refused(f"scorer {spec.scorer!r}")
    wide = [
        block
        for block, channels in embedder.channels.items()
        if statistics * channels > MAX_WIDTH and block in detector.statistics
    ]
    if wide:
        raise NoMapError(
            f"rows of {', '.join(wide)} are wider than {MAX_WIDTH} and projected, and tell of no "
            "place: use other blocks (option 'blocks')"
            + (", or descriptor squeeze, a third as wide" if statistics > 1 else "")
        )


def given_to_places(
    x: Float[np.ndarray, " c *places"],
    share: Float[np.ndarray, "*places"],
    row: Float[np.ndarray, " d"],
    normal: Float[np.ndarray, " d"],
    slope: Float[np.ndarray, " d"],
) -> Float[np.ndarray, "*places"]:
    """Return what each place contributes, by the module's formula; the sum is the block's part.

    Args:
        x: the map.
        share: w, how much each place counts; of sum 1.
        row: mean, deviation and maximum of all channels, d = 3 c, or the means alone, d = c.
        normal: m.
        slope: a.
    """
    c = len(x)
    w = share.reshape(-1).astype(np.float64)
    values = np.where(w > 0, x.reshape(c, -1), 0.0).astype(np.float64)
    centred = values - (values @ w)[:, None]
    mean, *others = np.split(slope * (row.astype(np.float64) - normal), range(c, len(row), c))
    given = w * (slope[:c] @ centred + mean.sum())
    if others:
        deviation, maximum = others
        highest = np.where(w > 0, values, -np.inf)
        at = highest == highest.max(axis=1, keepdims=True)
        given += deviation @ _proportions(w * centred**2, w)
        given += maximum @ _proportions(at.astype(np.float64), w)
    places: np.ndarray = given.reshape(share.shape)
    return places


def _proportions(
    parts: Float[np.ndarray, "c p"], otherwise: Float[np.ndarray, " p"]
) -> Float[np.ndarray, "c p"]:
    """Return every channel's parts over their sum; ``otherwise`` where that is 0."""
    whole = parts.sum(axis=1, keepdims=True)
    proportions: np.ndarray = np.divide(
        parts, whole, out=np.broadcast_to(otherwise, parts.shape).copy(), where=whole > 0
    )
    return proportions


def _refused(what: str) -> NoMapError:
    return NoMapError(
        f"{what} does not tell where a score comes from: use scorer gaussian or prototype, "
        f"descriptor {' or '.join(reversed(STATISTICS))}, and normalise 'none' or 'zscore'"
    )
