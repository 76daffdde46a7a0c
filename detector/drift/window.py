"""The window test: have these n images, as a set, come from somewhere else than the calibration?

Rows are compared in k leading directions of what was fitted (``window_space``), k at most 32 and a
quarter of window and of calibration, and one of the energy beyond them; in all channels; and by
their scores (``window_statistics``). The p-value is of random splits of both together
(``window_p_value``); the divergence in nats only explains. Its bias is taken off part by part.

A window has drifted if p is at most its level. While images stay exchangeable with the calibration,
the mean number of false alarms is at most level x windows, however windows depend on each other. So
"one false alarm per N images" is level = n / N, and per 30 days N is the images of 30 days. Images
that resemble their neighbours in time are not exchangeable: take those that a ``Thinning`` keeps.
Nothing has to be kept between windows: an answer follows from reference, window, seed and number.

Defects are not drift: where the line was drawn at one of the calibration scores, those below it are
like new ones below it, given that both are, whatever the share of defects above. So calibration and
windows may be of images below the line alone, with the others counted beside them (``flagged``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from detector.calibration import Share, share_above
from detector.divergence import MAX_DIRECTIONS, ROWS_PER_DIRECTION, Divergence
from detector.drift.explanation import Circumstances, circumstances, sentence
from detector.drift.promise import Promise
from detector.drift.window_images import Window, WindowReference
from detector.drift.window_moves import Moves, by_image, moves
from detector.drift.window_p_value import PValue, p_value, splits_for
from detector.drift.window_space import (
    PARTS,
    Whitening,
    divergence,
    null_parts,
)
from detector.drift.window_statistics import Pool
from detector.errors import InvalidSpecError

CONTRIBUTORS = 10

WINDOW_IMAGES, MOST_IMAGES = 128, 1000
"""Of a window, unless the promise is long; and however long it is."""
_LEAST_LEVEL = 1e-4
"""A longer promise takes larger windows rather than more splits."""


def window_size(promise: Promise) -> int:
    """Return how many images a window should have, with the promise in images that windows take.

    Raises:
        InvalidSpecError: if none will do: the promise is of hardly more images than a window, or of
            more than 100,000 of the largest windows.
    """
    size = min(max(WINDOW_IMAGES, ceil(_LEAST_LEVEL * promise.images)), MOST_IMAGES)
    _level(size, promise)
    return size


@dataclass(frozen=True)
class WindowReport:
    """What a window test says.

    Attributes:
        images: in the window.
        level: at or below which p is an alarm.
        result: the p-value, how many splits it took, each statistic's own.
        divergence: raw, with its null mean.
        excess: in nats beyond chance, by part and in total.
        moves: of blocks and channels.
        circumstances: of pictures and verdicts.
        contributors: ids of the ten images that moved most, and nats a channel of each.
        warming_up: why only large changes are seen; empty if window and calibration suffice.
        text: all of it in a sentence.
    """

    images: int
    level: float
    result: PValue
    divergence: Divergence
    excess: Mapping[str, float]
    moves: Moves
    circumstances: Circumstances
    contributors: tuple[tuple[str, float], ...]
    warming_up: str
    text: str

    @property
    def drifted(self) -> bool:
        """Whether it is an alarm."""
        return self.result.p <= self.level


class WindowTest:
    """Tests windows against one reference with one promise."""

    def __init__(self, reference: WindowReference, promise: Promise, seed: int) -> None:
        """Begin; ``seed`` belongs to the detector, a whole number from 0.

        The promise counts images that windows are made of: N / k of them if one in k is taken.
        """
        self.reference, self.promise, self._seed = reference, promise, seed

    def level(self, images: int) -> float:
        """Return the level of a window of so many images.

        Raises:
            InvalidSpecError: if the promise is of no more images than the window, or of more than
                100,000 windows.
        """
        return _level(images, self.promise)

    def statement(self, images: int) -> str:
        """Return what is promised of windows of so many images, in words a person can check.

        Raises:
            InvalidSpecError: as ``level``.
        """
        return (
            f"While the traffic stays like the calibration images, at most one false alarm per "
            f"{1 / self.level(images):,.0f} windows of {images:,} images on average (permutation "
            f"test, finite-sample, assumes exchangeable images)."
        )

    def test(self, window: Window, number: int) -> WindowReport:
        """Return what is to be said of a window.

        Args:
            window: of the channels that were fitted, with pictures exactly if the reference has.
            number: which random splits it gets, from 0; of no other window against this reference,
                such as its own or that of its last image.

        Raises:
            InvalidSpecError: if the window's rows or pictures do not fit the reference, or as
                ``level``.
        """
        self._check(window)
        reference, n = self.reference, len(window.rows)
        m, level = len(reference.rows), self.level(n)
        k = min(MAX_DIRECTIONS, n // ROWS_PER_DIRECTION, m // ROWS_PER_DIRECTION)
        standard = reference.axes.standardised(window.rows)
        before, now = reference.coordinates(k), reference.axes.coordinates(standard, k)
        pool = Pool(
            np.vstack([before, now]),
            np.vstack([reference.standard, standard]),
            np.append(reference.scores, window.scores),
            n,
            reference.distances,
        )
        result = p_value(pool, level, np.random.default_rng([self._seed, number]))

        white = Whitening.of(before)(now)
        found = divergence(white, m)
        null = null_parts(found.directions, n, m)
        excess = {part: getattr(found, part) - null[part] for part in PARTS}
        moved = moves(reference.standard, standard, reference.blocks)
        seen = self._seen(window)
        text = f"no change seen in {n} images (p = {result.p:.2g}, an alarm at {level:.2g})"
        if result.p <= level:
            part = max(PARTS, key=lambda name: excess[name])
            known = tuple(reference.blocks)
            text = sentence(moved.leading(), part, window.times[0], seen, known)
        return WindowReport(
            images=n,
            level=level,
            result=result,
            divergence=found,
            excess=excess | {"total": found.excess},
            moves=moved,
            circumstances=seen,
            contributors=_most(window.ids, by_image(reference.standard, standard)),
            warming_up=reference.warming_up(n),
            text=text,
        )

    def _check(self, window: Window) -> None:
        width, fitted = window.rows.shape[1], self.reference.rows.shape[1]
        if width != fitted:
            raise InvalidSpecError(f"window: rows of {width} channels where {fitted} were fitted")
        if (window.inputs is None) != (self.reference.inputs is None):
            raise InvalidSpecError("window: pictures must be known of it and of the calibration")

    def _seen(self, window: Window) -> Circumstances:
        reference = self.reference
        inputs = None
        if reference.inputs is not None and window.inputs is not None:
            inputs = (reference.inputs, window.inputs)
        shares = []
        for each in (reference, window):
            above = share_above(each.scores, reference.line)
            shares.append(Share(above.count + each.flagged, above.of + each.flagged))
        return circumstances((shares[0], shares[1]), inputs)


def _most(ids: Sequence[str], nats: np.ndarray) -> tuple[tuple[str, float], ...]:
    most = np.argsort(-nats, kind="stable")[:CONTRIBUTORS]
    return tuple((ids[i], float(nats[i])) for i in most)


def _level(images: int, promise: Promise) -> float:
    level = images / promise.images
    if level >= 1:
        raise InvalidSpecError(
            f"a promise of one false alarm per {promise.images:g} images needs windows of fewer "
            f"images than that, got {images}"
        )
    splits_for(level)
    return level
