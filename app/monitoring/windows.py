"""Windows being filled: of each detector the images that this process has scored, one by one.

Each image is in one window of one process at most. Of several processes each fills its own; levels
add up over windows, whoever filled them. What a window holds is lost with the process, which costs
time but nothing of the promise. The last images stay at hand, so that they can become a reference.

Images at or above the line are left out and counted: see ``detector.drift.window``.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.monitoring.monitor import Monitor
from app.monitoring.notes import Monitored, Reference
from app.storage.cache import Cache
from app.storage.version_reader import Stored
from detector.drift.autocorrelation import Thinning
from detector.drift.promise import Promise
from detector.drift.state import INPUTS
from detector.drift.window import window_size
from detector.drift.window_images import Window

AT_HAND = 400
"""Last images at hand to be a reference; of se-lite0's 1,808 channels some 3 MB a detector."""


@dataclass(frozen=True, slots=True)
class Full:
    """A window, and all that its test depends on."""

    stored: Stored
    reference: Reference
    thinning: Thinning
    line: float
    looks: bool
    """Whether it and its reference say how pictures look."""
    promise: Promise
    window: Window
    number: int
    """Of its last image, which no other window has."""


@dataclass(slots=True)
class _Filling:
    epoch: str
    images: list[Monitored] = field(default_factory=list)
    flagged: int = 0


class Windows:
    """Of the detectors that were fed last, so many at a time; used by one thread at a time."""

    def __init__(self, cached: int) -> None:
        self._fillings: Cache[_Filling] = Cache(cached)
        self._last: Cache[deque[Monitored]] = Cache(cached)

    def add(self, stored: Stored, monitor: Monitor, images: Iterable[Monitored]) -> list[Full]:
        """Take in images of a detector, in order; return the windows that they fill."""
        identity, state = stored.entry.id, monitor.state
        filling = self._filling(identity, monitor.reference)
        last = self._last.get(identity) or self._last.keep(identity, deque(maxlen=AT_HAND))
        found = []
        for image in images:
            if last and len(last[-1].squeeze) != len(image.squeeze):
                last.clear()
            is_whole = bool(np.isfinite(image.squeeze).all())
            if image.score > state.line:
                filling.flagged += 1
            elif image.score < state.line and is_whole:
                filling.images.append(image)
            if is_whole:
                last.append(image)
            if monitor.tests_windows and len(filling.images) >= window_size(state.window_promise):
                found.append(_full(stored, monitor, filling))
                filling.images, filling.flagged = [], 0
        if not monitor.tests_windows:
            filling.images, filling.flagged = [], 0
        return found

    def filled(self, identity: str, reference: Reference) -> int:
        """Return how many images the window of a detector holds by now, in this process."""
        return len(self._filling(identity, reference).images)

    def last(self, identity: str, since: int, every: float) -> Sequence[Monitored]:
        """Return the last images at hand from this number on, so far apart, flagged or not."""
        kept: list[Monitored] = []
        for image in self._last.get(identity) or ():
            if image.number >= since and (not kept or image.number - kept[-1].number >= every):
                kept.append(image)
        return kept

    def _filling(self, identity: str, reference: Reference) -> _Filling:
        filling = self._fillings.get(identity)
        if filling is None or filling.epoch != reference.epoch:
            filling = self._fillings.keep(identity, _Filling(reference.epoch))
        return filling


def _full(stored: Stored, monitor: Monitor, filling: _Filling) -> Full:
    state, images = monitor.state, filling.images
    looks = INPUTS[0] in state.streams
    window = Window(
        np.stack([image.squeeze for image in images]),
        np.array([image.score for image in images]),
        tuple(image.id for image in images),
        tuple(image.at for image in images),
        np.array([image.look for image in images], dtype=np.float64) if looks else None,
        filling.flagged,
    )
    return Full(
        stored,
        monitor.reference,
        state.thinning,
        state.line,
        looks,
        state.window_promise,
        window,
        images[-1].number,
    )
