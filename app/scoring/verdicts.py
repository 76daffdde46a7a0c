"""From embeddings to answers: judged beside the shadow, noted for replay and review, counted."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.catalogue import Catalogue
from app.images.sources import Source
from app.monitoring.watch import Watch
from app.past.history import History
from app.results import Judged, Scored, Timings
from app.scoring import judging
from app.scoring.arriving import Arrived, Failure, Look
from app.scoring.ingest import Ingest
from app.scoring.judging import Judge, Seen, Shown
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from detector.detector import Detector
from detector.errors import DetectorError

log = logging.getLogger(__name__)

FOLD_IMAGES = 64
"""Images whose rows are turned into scores at once."""
TURN_VERDICTS = 16
"""Most verdicts of several detectors in one turn on a thread: 0.4 ms each, so others wait 6 ms."""


class Verdicts:
    """What every route that scores ends in; used in the event loop."""

    def __init__(
        self,
        catalogue: Catalogue,
        ingest: Ingest,
        history: History,
        drift: Watch,
        telemetry: Telemetry,
    ) -> None:
        self._catalogue = catalogue
        self._ingest = ingest
        self._history = history
        self._drift = drift
        self._telemetry = telemetry

    async def score(
        self,
        stored: Stored,
        sources: Sequence[Source],
        look: Look,
        deadline_s: float = math.inf,
        *,
        group: str = "",
        false_discovery_rate: float | None = None,
    ) -> Scored:
        """Embed images and return what a detector says of them, in their order.

        Raises:
            NotCalibratedError: if images are to be judged together without p-values.
            OverloadedError, UnavailableError: as ``Ingest.embed_now``.
        """
        if not self._ingest.goes_through(sources, look):
            arrivals = await self._ingest.embed_now(sources, look, deadline_s)
            return await self.of(
                stored, sources, arrivals, group=group, false_discovery_rate=false_discovery_rate
            )
        if false_discovery_rate is not None:
            stored.detector.require_calibrated()
        (source,) = sources
        judge = Judge(stored, await self._shadow(stored))

        def judged(arrived: Arrived) -> tuple[Seen, float]:
            started_s = time.perf_counter()
            seen = judging.judge(stored, judge.shadow, [source.name], [arrived], group)
            return seen, time.perf_counter() - started_s

        found = await self._ingest.embed_through(source, look, judged, deadline_s)
        arrived, made = found if isinstance(found, tuple) else (found, None)
        answer = _Answer(judge, _unjudged(sources, [arrived]))
        if made is not None and isinstance(arrived, Arrived):
            seen, judge_s = made
            self._note(answer, seen, {0: arrived}, judge_s)
        self._took([answer])
        return _or_raised(self._told(answer, false_discovery_rate))

    async def of(
        self,
        stored: Stored,
        sources: Sequence[Source],
        arrivals: Sequence[Arrived | Failure],
        *,
        group: str = "",
        false_discovery_rate: float | None = None,
    ) -> Scored:
        """Return what a detector says of images that were embedded, or failed, in their order.

        Raises:
            NotCalibratedError: if images are to be judged together without p-values.
        """
        if false_discovery_rate is not None:
            stored.detector.require_calibrated()
        (scored,) = await self.of_each(
            [stored], sources, arrivals, group=group, false_discovery_rate=false_discovery_rate
        )
        return _or_raised(scored)

    async def of_each(
        self,
        detectors: Sequence[Stored],
        sources: Sequence[Source],
        arrivals: Sequence[Arrived | Failure],
        *,
        group: str = "",
        false_discovery_rate: float | None = None,
    ) -> list[Scored | DetectorError]:
        """Return what each of some detectors says of the same images, or why it cannot judge them.

        They look at images alike, and are calibrated if images are to be judged together.
        """
        answers = [
            _Answer(Judge(stored, await self._shadow(stored)), _unjudged(sources, arrivals))
            for stored in detectors
        ]
        arrived = [(i, item) for i, item in enumerate(arrivals) if isinstance(item, Arrived)]
        for start in range(0, len(arrived), FOLD_IMAGES):  # bounds the memory it takes
            part = dict(arrived[start : start + FOLD_IMAGES])
            shown = Shown([sources[i].name for i in part], list(part.values()), group)
            able = [each for each in answers if each.error is None]
            await self._judge(able, shown, part)
        self._took([each for each in answers if each.error is None])
        return [self._told(answer, false_discovery_rate) for answer in answers]

    async def _judge(
        self, answers: Sequence["_Answer"], shown: Shown, part: Mapping[int, Arrived]
    ) -> None:
        """Have detectors judge a part of the images, some of them in each turn on a thread.

        One turn after the other: two threads that judge by the default take as long as one, and
        two thirds more of the cores, for each waits for Python's lock after every call of NumPy.
        """
        size = max(TURN_VERDICTS // len(part), 1)
        for start in range(0, len(answers), size):
            some = answers[start : start + size]
            started_s = time.perf_counter()
            call = partial(judging.judge_by_each, [each.judge for each in some], shown)
            found = await self._ingest.judged(call)
            judge_s = (time.perf_counter() - started_s) / (len(part) * len(some))
            for answer, seen in zip(some, found, strict=True):
                if isinstance(seen, DetectorError):
                    answer.error = seen
                else:
                    self._note(answer, seen, part, judge_s)

    def _note(
        self, answer: "_Answer", seen: Seen, part: Mapping[int, Arrived], judge_s: float
    ) -> None:
        self._history.note(seen)
        self._drift.note(seen)
        for image, (index, item) in zip(seen.images, part.items(), strict=True):
            timings = Timings(item.decode_s, item.queue_s, item.forward_s, judge_s)
            answer.results[index] = Judged(image.name, image.verdict, timings, id=image.id)

    def _took(self, answers: Sequence["_Answer"]) -> None:
        """Show how long each image took: detectors share everything but their judging."""
        for judged in zip(*(answer.results for answer in answers), strict=True):
            timings = [each.timings for each in judged if each.timings]
            if timings:
                judge_s = sum(each.judge_s for each in timings)
                self._telemetry.took(replace(timings[0], judge_s=judge_s))

    def _told(
        self, answer: "_Answer", false_discovery_rate: float | None
    ) -> Scored | DetectorError:
        """Count what was said, and return it, or why nothing can be."""
        if answer.error is not None:
            return answer.error
        stored, results = answer.judge.stored, answer.results
        name = stored.entry.name
        for result in results:
            if result.verdict:
                self._telemetry.scored(name, result.verdict, result.id)
        if false_discovery_rate is not None:
            try:
                results = judging.together(results, false_discovery_rate)
            except DetectorError as error:
                return error
        return Scored(name, stored.detector.version, results)

    async def _shadow(self, stored: Stored) -> Detector | None:
        """Return the version that scores alongside, if one does."""
        entry = stored.entry
        if entry.shadow is None or entry.version.version != entry.in_service:
            return None
        try:
            other = await self._catalogue.usable(entry.name, entry.shadow, allow_stale=True)
        except DetectorError:
            log.exception("the shadow of %r cannot score", entry.name)
            return None
        ours, theirs = (each.detector.spec.backbone_fingerprint for each in (stored, other))
        return other.detector if ours == theirs else None  # since it was made the shadow


@dataclass(slots=True)
class _Answer:
    """What a detector has said up to now, in the places of the images, or why it cannot judge."""

    judge: Judge
    results: list[Judged]
    error: DetectorError | None = None


def _or_raised(scored: Scored | DetectorError) -> Scored:
    if isinstance(scored, DetectorError):
        raise scored
    return scored


def _unjudged(sources: Sequence[Source], arrivals: Sequence[Arrived | Failure]) -> list[Judged]:
    """Return the results before any image is judged: those that failed have their error."""
    return [
        Judged(source.name, error=None if isinstance(item, Arrived) else item)
        for source, item in zip(sources, arrivals, strict=True)
    ]
