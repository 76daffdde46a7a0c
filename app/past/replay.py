"""Replay: what another version, scorer or threshold would have said of what was scored.

It reads the rows that were kept, decides nothing and changes nothing. Under the version that scored
an image it says what was said then.
"""

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial

from app.learning.collecting import Progress
from app.lines import Line, decided
from app.past.rejudging import Judge, recalibrated, rejudge, with_scorer
from app.past.tally import Replayed, Tally, step_of
from app.service import Service
from app.storage.reviews import Reviews
from app.storage.version_reader import Stored
from detector.errors import InvalidSpecError
from detector.verdict import Threshold


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
    found = Replayed(stored, judge.detector, step_of(chunks, since, until))
    tally = Tally(found, {image: review.word for image, review in words.items()})
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
