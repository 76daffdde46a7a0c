"""What a replay counts: verdicts then and now, by time and by review, and what changes most."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Literal

from app.past.rejudging import Rejudged, word
from app.storage.history import KeptChunk, ScoredImage, Word
from app.storage.reviews import ReviewWord
from app.storage.version_reader import Stored
from detector.detector import Detector

MOST_CHANGED = 20
HOURLY = timedelta(days=3)
"""Up to this span the images are counted by the hour, beyond it by the day."""

Step = Literal["hour", "day"]


@dataclass(slots=True)
class Count:
    """Images: how many were flagged then, and would be now."""

    images: int = 0
    flagged_then: int = 0
    flagged_now: int = 0

    def add(self, then: bool, now: bool) -> None:
        """Count one."""
        self.images += 1
        self.flagged_then += then
        self.flagged_now += now


@dataclass(frozen=True, slots=True)
class Changed:
    """An image as it was judged, and as it would be."""

    image: ScoredImage
    score: float
    threshold: float
    verdict: Word


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
        bins: images of an hour or a day (UTC) by its start, in order; none without images.
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
    bins: dict[datetime, Count] = field(default_factory=dict)
    changed: list[Changed] = field(default_factory=list)
    reviews: dict[ReviewWord, Count] = field(default_factory=dict)


def step_of(chunks: Sequence[KeptChunk], since: datetime | None, until: datetime | None) -> Step:
    """Return how the images of a time are counted: by the hour, over a long one by the day."""
    if not chunks:
        return "hour"
    first, last = chunks[0].first_at, max(chunk.last_at for chunk in chunks)
    span = min(until or last, last) - max(since or first, first)
    return "hour" if span <= HOURLY else "day"


class Tally:
    """Counts what was said and what would be."""

    def __init__(self, found: Replayed, words: Mapping[str, ReviewWord]) -> None:
        self._found = found
        self._line = found.judge.require_threshold()
        self._words = words
        self._bins: dict[datetime, Count] = {}
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
        self._bin(image.at).add(was, is_now)
        if image.id in self._words:
            found.reviews.setdefault(self._words[image.id], Count()).add(was, is_now)
        self._keep(Changed(image, score, line.line(image.group), now))

    def _bin(self, at: datetime) -> Count:
        start = at.replace(minute=0, second=0, microsecond=0)
        if self._found.step == "day":
            start = start.replace(hour=0)
        return self._bins.setdefault(start, Count())

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
        self._found.bins = dict(sorted(self._bins.items()))
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
