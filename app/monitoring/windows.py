"""Windows and baselines of traffic as images: what the log keeps of these numbers, put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.monitoring.filling import Waiting
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Monitored, Reference
from app.storage.version_reader import Stored
from detector.drift.autocorrelation import Thinning
from detector.drift.promise import Promise
from detector.drift.state import INPUTS
from detector.drift.window_images import Window


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
    waiting: Waiting

    @property
    def number(self) -> int:
        """Return that of its last image, which no other window has."""
        return self.waiting.last


def full_of(
    stored: Stored, monitor: Monitor, waiting: Waiting, images: Iterable[Monitored]
) -> Full:
    """Return a window of images: those below the line; those above it are counted."""
    state = monitor.state
    looks = INPUTS[0] in state.streams
    every = alike([each for each in images if waiting.since <= each.number <= waiting.last])
    inside = [each for each in every if each.score < state.line]
    window = Window(
        np.stack([image.squeeze for image in inside]),
        np.array([image.score for image in inside]),
        tuple(image.id for image in inside),
        tuple(image.at for image in inside),
        np.array([image.look for image in inside], dtype=np.float64) if looks else None,
        sum(image.score > state.line for image in every),
    )
    return Full(
        stored,
        monitor.reference,
        state.thinning,
        state.line,
        looks,
        state.window_promise,
        window,
        waiting,
    )


def far_apart(images: Iterable[Monitored], since: int, every: float) -> Sequence[Monitored]:
    """Return images from this number on, so far apart, flagged or not."""
    kept: list[Monitored] = []
    for image in alike([*images]):
        if image.number >= since and (not kept or image.number - kept[-1].number >= every):
            kept.append(image)
    return kept


def alike(images: Sequence[Monitored]) -> Sequence[Monitored]:
    """Return images with as many channels as the last one: others are of another network."""
    return [each for each in images if len(each.squeeze) == len(images[-1].squeeze)]
