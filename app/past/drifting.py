"""Replay of drift: which alarms there would have been over what was scored.

The kept images go through a monitor like the one that watches, begun anew, in order of time. It
compares with the calibration of the version that is asked for, which judges again what another one
has scored. Each alarm is acknowledged at once, so that the next one counts: while nothing changes,
alarms have a mean of at most images / N, and a change that lasts alarms again and again.

Windows need squeezes, which the history does not keep: they are not tested again. Where they would
be, their share of the promise is left to them, so that streams alarm as they do in service.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.learning.collecting import Progress
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Image as Shown
from app.monitoring.notes import Raised
from app.monitoring.power import promised
from app.monitoring.references import References
from app.monitoring.telling import Told, tell
from app.past.rejudging import Judge, Rejudged, rejudge
from app.service import Service
from app.storage.history import KeptChunk, ScoredImage
from app.storage.version_reader import Stored
from detector.drift.promise import Promise

MOST_TOLD = 100
"""First alarms that are told one by one; the others are only counted."""
WINDOWS = "Windows are not tested again, for squeezes of scored images are not kept."


@dataclass(frozen=True, slots=True)
class Image:
    """One kept image: its score by the version asked for, and how it looked, if that is known."""

    image: ScoredImage
    score: float
    look: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class WouldBe:
    """An alarm, with its evidence and the threshold as log10."""

    raised: Raised
    evidence_log10: float
    threshold_log10: float


@dataclass(slots=True)
class Watched:
    """What a stream would have shown: highest evidence and threshold as log10, alarms in all."""

    threshold_log10: float
    highest_log10: float = 0.0
    alarms: int = 0


@dataclass(slots=True)
class DriftReplayed:
    """What the monitors would have said.

    Attributes:
        stored: the version whose calibration was compared with.
        promise: on false alarms.
        told: how the monitor stands at the end; no image, no more than its promise and reasons.
        images: seen, of which one in ``told.thinning.every`` is watched.
        left_out: not seen, for another backbone saw them.
        first_at, last_at: when the first and the last of them was scored.
        alarms: the first ones, in order of time.
        streams: what each shows, by name.
        windows: whether a share of the promise is that of windows.
    """

    stored: Stored
    promise: Promise
    told: Told
    images: int = 0
    left_out: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    alarms: list[WouldBe] = field(default_factory=list)
    streams: dict[str, Watched] = field(default_factory=dict)
    windows: bool = False

    @property
    def images_watched(self) -> int:
        """How many images the monitors have compared."""
        every = 1 if self.told.thinning is None else round(self.told.thinning.every)
        return -(-self.images // every)

    @property
    def alarm_count(self) -> int:
        """How many alarms there would have been."""
        return sum(each.alarms for each in self.streams.values())

    @property
    def expected_false_alarms(self) -> float:
        """Most alarms that there are on average in as many images of no change."""
        return self.images / self.promise.images

    @property
    def reasons(self) -> list[str]:
        """What to know of it, in sentences."""
        told = list(self.told.reasons)
        return [*told, WINDOWS] if self.windows else told

    @property
    def summary(self) -> str:
        """It in a sentence or two."""
        if not self.images:
            return "No image of that time is kept, or none that this version can judge."
        chance = f"With no change, {self.expected_false_alarms:.2g} would be the most on average."
        if not self.alarms:
            return f"No alarm in {self.images:,} images. {chance}"
        first = self.alarms[0].raised
        plural = "" if self.alarm_count == 1 else "s"
        return (
            f"{self.alarm_count:,} alarm{plural} in {self.images:,} images, the first at "
            f"{first.at:%Y-%m-%d %H:%M:%S} UTC by {first.stream}. {chance}"
        )


async def replay_drift(
    service: Service,
    name: str,
    *,
    version: int | None = None,
    promise_images: float | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress = lambda _: None,
) -> DriftReplayed:
    """Let monitors see again what a detector has scored; changes nothing.

    Args:
        service: that runs.
        name: of the detector.
        version: whose calibration is compared with; None for the one in service.
        promise_images: images among which one false alarm is allowed; None for the setting's.
        since: only images scored at this moment or later; the monitors begin there.
        until: only images scored before.
        progress: called with how many images were just read.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError
        NotCalibratedError: if the version has no calibration scores, or no line.
        StaleCalibrationError: if these are of another fit.
        InvalidSpecError: if there is no promise, or it is too short for the calibration.
        ArtefactError: if the rows of a chunk are damaged.
    """
    promise = promised(service, promise_images)
    stored = await asyncio.to_thread(service.catalogue.get, name, version)
    stored.detector.require_fitted()
    references = References(service.storage, {})
    seeing = await asyncio.to_thread(_Seeing, stored, promise, references)
    chunks = await asyncio.to_thread(service.history.kept.chunks, stored.entry.id, since, until)
    judged = rejudge(
        service, stored.entry, [Judge.of(stored)], chunks, since=since, until=until, with_rows=True
    )
    async for left_out, images in _in_order(judged, chunks):
        await asyncio.to_thread(seeing.see, left_out, images)
        progress(left_out + len(images))
    return seeing.whole()


async def _in_order(
    judged: AsyncIterator[Rejudged], chunks: Sequence[KeptChunk]
) -> AsyncIterator[tuple[int, list[Image]]]:
    """Yield how many images were left out, and the next ones in order of time.

    Chunks come by their first image, and may overlap: an image waits until no later chunk can hold
    one before it.
    """
    waiting: list[Image] = []
    number = 0
    async for each in judged:
        number += 1
        waiting += _images(each)
        waiting.sort(key=lambda one: one.image.at)  # stable: in order of the rows
        ready = waiting
        if number < len(chunks):
            ready = [one for one in waiting if one.image.at < chunks[number].first_at]
        waiting = waiting[len(ready) :]
        yield each.left_out, ready


def _images(judged: Rejudged) -> list[Image]:
    inputs = None if judged.rows is None else judged.rows.inputs
    looks = [None] * len(judged.images) if inputs is None else inputs.tolist()
    scores = judged.scores[0].tolist()
    return [Image(*each) for each in zip(judged.images, scores, looks, strict=True)]


class _Seeing:
    """The monitor, begun with the first image, and what came of it."""

    def __init__(self, stored: Stored, promise: Promise, references: References) -> None:
        self._stored, self._references = stored, references
        self._monitor = self._begun(stored, promise)
        self._found = DriftReplayed(stored, promise, tell(stored.entry, self._monitor))

    def _begun(self, stored: Stored, promise: Promise) -> Monitor:
        monitor = Monitor.begun(stored, promise, stored.entry.version.created_at)
        monitor.decide(self._references.why_not(stored, monitor))
        return monitor

    def see(self, left_out: int, images: Sequence[Image]) -> None:
        """Show images to the monitor, in order of time."""
        self._found.left_out += left_out
        if images and not self._found.images:
            self._begin(images[0])
        for each in images:
            self._one(each)

    def _begin(self, first: Image) -> None:
        """Watch how images look only if that is known of the first: it was not always kept."""
        calibration = self._stored.detector.require_calibrated()
        if first.look is None and calibration.inputs is not None:
            plain = self._stored.detector.having(calibration=replace(calibration, inputs=None))
            seen = replace(self._stored, detector=plain)
            self._monitor = self._begun(seen, self._found.promise)
        self._found.first_at = first.image.at

    def _one(self, each: Image) -> None:
        found, state = self._found, self._monitor.state
        shown = Shown(each.image.id, each.image.at, each.score, each.look)
        raised = self._monitor.take([shown]).raised
        found.images += 1
        found.last_at = each.image.at
        for name, threshold in state.thresholds_log10.items():
            watched = found.streams.setdefault(name, Watched(threshold))
            watched.highest_log10 = max(watched.highest_log10, state.streams[name].evidence.log10)
        for alarm in raised:
            watched = found.streams[alarm.stream]
            watched.alarms += 1
            if len(found.alarms) < MOST_TOLD:
                evidence = state.streams[alarm.stream].evidence.log10
                found.alarms.append(WouldBe(alarm, evidence, watched.threshold_log10))
        if raised:
            state.acknowledge()

    def whole(self) -> DriftReplayed:
        """Return all that was seen."""
        self._found.told = tell(self._stored.entry, self._monitor)
        self._found.windows = self._monitor.state.windows
        return self._found
