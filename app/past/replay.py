"""Replay: what another version, scorer or threshold would have said of what was scored.

It reads the rows that were kept, decides nothing and changes nothing. Under the version that scored
an image it says what was said then.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Literal

from app.learning.collecting import Progress
from app.lines import Line, decided
from app.past.rejudging import Judge, Rejudged, recalibrated, rejudge, with_scorer, word
from app.service import Service
from app.storage.history import KeptChunk, ScoredImage, Word
from app.storage.reviews import Reviews, ReviewWord
from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.errors import InvalidSpecError
from detector.verdict import Threshold

MOST_CHANGED = 20
HOURLY = timedelta(days=3)
"""Up to this span the images are counted by the hour, beyond it by the day."""

Step = Literal["hour", "day"]


@dataclass(slots=True)
class Bin:
    """Images of an hour or a day (UTC): how many were flagged then, and would be now."""

    start: datetime
    images: int = 0
    flagged_then: int = 0
    flagged_now: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """An image as it was judged, and as it would be."""

    image: ScoredImage
    score: float
    threshold: float
    verdict: Word


@dataclass(slots=True)
class Honoured:
    """Images of one word of review: how many were flagged then, and would be now."""

    images: int = 0
    flagged_then: int = 0
    flagged_now: int = 0


@dataclass(slots=True)
class Replayed:
    """What a replay has counted.

    Attributes:
        stored: the version that was replayed.
        judge: the detector that judged, which may have another scorer or threshold.
        step: what a bin stands for.
        images: judged again.
        left_out: not judged, for another backbone saw them.
        then, now: images by verdict.
        newly_flagged, no_longer_flagged: of images that had a verdict then.
        bins: in order of time; those without images are left out.
        changed: those that change most: verdicts that flip, then by how far the score moves.
        reviews: by word.
    """

    stored: Stored
    judge: Detector
    step: Step
    images: int = 0
    left_out: int = 0
    then: Counter[Word] = field(default_factory=Counter)
    now: Counter[Word] = field(default_factory=Counter)
    newly_flagged: int = 0
    no_longer_flagged: int = 0
    bins: list[Bin] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    reviews: dict[ReviewWord, Honoured] = field(default_factory=dict)


async def replay(
    service: Service,
    name: str,
    *,
    version: int | None = None,
    scorer: str | None = None,
    threshold: Line | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress = lambda _: None,
) -> Replayed:
    """Judge again what a detector has scored.

    Args:
        service: that runs.
        name: of the detector.
        version: that judges; None for the one in service.
        scorer: in place of the version's, on what it was fitted to; it is calibrated on the
            version's calibration images first.
        threshold: in place of the version's.
        since: only images scored at this moment or later.
        until: only images scored before.
        progress: called with how many images were just done.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError
        NotCalibratedError: if there is no threshold, and none is given.
        InvalidSpecError: if the scorer cannot be had, or the threshold cannot be.
        RowsNotKeptError: if a calibration is needed, and its rows were not kept.
        InsufficientCalibrationError, MissingAnomaliesError: if the threshold cannot be drawn.
    """
    stored = await asyncio.to_thread(service.catalogue.get, name, version)
    judge = await _judge(service, stored, scorer, threshold)
    judge.detector.require_threshold()
    chunks = await asyncio.to_thread(service.history.kept.chunks, stored.entry.id, since, until)
    reviews = Reviews(service.storage.database)
    words = await asyncio.to_thread(reviews.latest, stored.entry.id)
    found = Replayed(stored, judge.detector, _step(chunks, since, until))
    tally = _Tally(found, {image: review.word for image, review in words.items()})
    judged = rejudge(service, stored.entry, [judge], chunks, since=since, until=until)
    async for each in judged:
        tally.add(each)
        progress(len(each.images) + each.left_out)
    return tally.whole()


async def size(
    service: Service, name: str, since: datetime | None = None, until: datetime | None = None
) -> int:
    """Return about how many images a replay of that time goes through: whole chunks are counted.

    Raises:
        UnknownDetectorError
    """
    entry = await asyncio.to_thread(service.storage.versions.entry, name)
    chunks = await asyncio.to_thread(service.history.kept.chunks, entry.id, since, until)
    return sum(chunk.images for chunk in chunks)


async def _judge(service: Service, stored: Stored, scorer: str | None, line: Line | None) -> Judge:
    """Return who judges: the version, or what it would be with another scorer or threshold."""
    detector = stored.detector
    detector.require_fitted()
    judge = Judge.of(stored)
    if scorer is not None and scorer != detector.spec.scorer:
        line = line or _same_line(detector.require_threshold())
        detector = with_scorer(detector, scorer)
        judge = Judge(detector, None)
        await service.in_pool(detector.ready)
    if line is None:
        return judge
    if line.method != "manual" and (judge.fit is None or detector.stale):
        detector = await recalibrated(service, stored, detector)
    return replace(judge, detector=await service.in_pool(partial(decided, detector, line)))


def _same_line(threshold: Threshold) -> Line:
    if threshold.method == "manual":
        raise InvalidSpecError(
            "the line of this version was set by hand and says nothing of another scorer's scores: "
            "give a target or a value"
        )
    return Line.of(threshold)


def _step(chunks: Sequence[KeptChunk], since: datetime | None, until: datetime | None) -> Step:
    if not chunks:
        return "hour"
    first, last = chunks[0].first_at, max(chunk.last_at for chunk in chunks)
    span = min(until or last, last) - max(since or first, first)
    return "hour" if span <= HOURLY else "day"


class _Tally:
    """Counts what was said and what would be."""

    def __init__(self, found: Replayed, words: Mapping[str, ReviewWord]) -> None:
        self._found = found
        self._line = found.judge.require_threshold()
        self._words = words
        self._bins: dict[datetime, Bin] = {}
        self._most: list[tuple[bool, float, int, Changed]] = []  # a heap, the least change first
        self._order = count(0, -1)  # of those that change alike, the first stays

    def add(self, judged: Rejudged) -> None:
        """Count the images of a chunk."""
        self._found.left_out += judged.left_out
        for image, score in zip(judged.images, judged.scores[0], strict=True):
            self._one(image, float(score))

    def _one(self, image: ScoredImage, score: float) -> None:
        found, line = self._found, self._line
        now = word(line, score, image.group)
        was, is_now = image.verdict == "anomalous", now == "anomalous"
        found.images += 1
        found.then[image.verdict] += 1
        found.now[now] += 1
        if image.verdict != "uncalibrated":
            found.newly_flagged += is_now and not was
            found.no_longer_flagged += was and not is_now
        counted: list[Bin | Honoured] = [self._bin(image.at)]
        if image.id in self._words:
            counted.append(found.reviews.setdefault(self._words[image.id], Honoured()))
        for each in counted:
            each.images += 1
            each.flagged_then += was
            each.flagged_now += is_now
        self._keep(Changed(image, score, line.line(image.group), now))

    def _bin(self, at: datetime) -> Bin:
        start = at.replace(minute=0, second=0, microsecond=0)
        if self._found.step == "day":
            start = start.replace(hour=0)
        return self._bins.setdefault(start, Bin(start))

    def _keep(self, changed: Changed) -> None:
        flipped = changed.verdict != changed.image.verdict
        moved = _moved(changed)
        if not flipped and not moved:
            return
        item = (flipped, moved, next(self._order), changed)
        if len(self._most) < MOST_CHANGED:
            heapq.heappush(self._most, item)
        else:
            heapq.heappushpop(self._most, item)

    def whole(self) -> Replayed:
        """Return all that was counted."""
        self._found.bins = [self._bins[start] for start in sorted(self._bins)]
        self._found.changed = [item[3] for item in sorted(self._most, reverse=True)]
        return self._found


def _moved(changed: Changed) -> float:
    """Return how far an image moves, in shares of the line's height: scorers differ in scale."""
    image = changed.image
    if image.threshold is None:
        return 0.0
    then, now = (
        (score - line) / (abs(line) or 1.0)
        for score, line in ((image.score, image.threshold), (changed.score, changed.threshold))
    )
    return abs(now - then)
