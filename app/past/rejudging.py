"""Judge what was scored again, from the rows that were kept: chunk by chunk, in bounded memory.

A score depends on what was fitted and on nothing else. Where the version that scored an image has
the fit of the one that judges now, the score is the one that was kept, to the bit, and no rows are
read; elsewhere it is made of them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np
from jaxtyping import Float

from app.errors import MissingBlobError, RowsNotKeptError
from app.learning.fitting import rows_of
from app.service import Service
from app.storage.history import KeptChunk, KeptHistory, ScoredImage, Word
from app.storage.version_reader import Stored
from app.storage.version_rows import Entry
from detector.descriptors import REGIONAL
from detector.detector import Detector
from detector.errors import InvalidSpecError, NotCalibratedError
from detector.moments import Moments
from detector.rows import Rows
from detector.scorers import SCORERS
from detector.verdict import Threshold


@dataclass(frozen=True, slots=True)
class Judge:
    """A detector that judges what was scored.

    ``fit`` names the file of what it was fitted to, if it has one: what versions of the same file
    have scored, it would score alike.
    """

    detector: Detector
    fit: str | None

    @classmethod
    def of(cls, stored: Stored) -> "Judge":
        """Return a stored version as a judge."""
        return cls(stored.detector, stored.entry.version.files.fit)


@dataclass(frozen=True, slots=True)
class Rejudged:
    """Images of one chunk in order, and their scores by every judge; or how many it left out.

    ``rows`` are theirs, if they were asked for.
    """

    images: Sequence[ScoredImage]
    scores: Sequence[Float[np.ndarray, " n"]]
    left_out: int = 0
    rows: Rows | None = None


async def rejudge(
    service: Service,
    entry: Entry,
    judges: Sequence[Judge],
    chunks: Iterable[KeptChunk],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    with_rows: bool = False,
) -> AsyncIterator[Rejudged]:
    """Yield what the judges say of the images of some chunks, in order; with their rows, if asked.

    Images that another backbone saw are left out; chunks that are removed meanwhile, too.

    Raises:
        ArtefactError: if the rows of a chunk are damaged.
        StorageUnavailableError: if they cannot be read.
    """
    versions = await asyncio.to_thread(service.storage.versions.versions, entry.name)
    fits = {version.version: version.files.fit for version in versions}
    kept = service.history.kept
    calls = (
        partial(_chunk, kept, entry.id, judges, fits, each, since, until, with_rows)
        for each in chunks
    )
    async for rejudged in _ordered(calls, service.settings.decode_threads):
        yield rejudged


async def _ordered(
    calls: Iterable[Callable[[], Rejudged]], at_once: int
) -> AsyncIterator[Rejudged]:
    """Yield what the calls return, in order; not on the pool, where scoring would wait for them."""
    window: deque[asyncio.Task[Rejudged]] = deque()
    remaining = iter(calls)
    try:
        while True:
            while len(window) < at_once:
                call = next(remaining, None)
                if call is None:
                    break
                window.append(asyncio.create_task(asyncio.to_thread(call)))
            if not window:
                return
            yield await window.popleft()
    finally:
        for task in window:
            task.cancel()


def _chunk(
    kept: KeptHistory,
    detector_id: str,
    judges: Sequence[Judge],
    fits: Mapping[int, str],
    chunk: KeptChunk,
    since: datetime | None,
    until: datetime | None,
    with_rows: bool,
) -> Rejudged:
    images = kept.images_of(chunk, since, until)
    if not images:
        return Rejudged([], [np.zeros(0) for _ in judges])
    scored_by = fits.get(images[0].version)  # all of a chunk are of one version
    known = [judge.fit is not None and judge.fit == scored_by for judge in judges]
    rows = None
    if with_rows or not all(known):
        try:
            rows, backbone = kept.rows(detector_id, chunk.id)
        except MissingBlobError:
            return Rejudged([], [np.zeros(0) for _ in judges])
        networks = {judge.detector.spec.backbone_fingerprint for judge in judges}
        if networks != {backbone}:  # of kinds whose networks learn, each fit has its own
            return Rejudged([], [np.zeros(0) for _ in judges], left_out=len(images))
        rows = rows.take([image.row for image in images])
    said = np.array([image.score for image in images])
    scores = [
        said if same or rows is None else judge.detector.scores(rows)
        for judge, same in zip(judges, known, strict=True)
    ]
    return Rejudged(images, scores, rows=rows if with_rows else None)


def word(threshold: Threshold, score: float, group: str) -> Word:
    """Return the verdict on a score, as ``detector.judging`` gives it."""
    line = threshold.line(group)
    if score > line:
        return "anomalous"
    uncertain = threshold.review is not None and threshold.review < score
    return "uncertain" if uncertain else "normal"


def with_scorer(detector: Detector, scorer: str) -> Detector:
    """Return a detector that scores otherwise what it was fitted to; it has no calibration yet.

    Raises:
        InvalidSpecError: if its rows and statistics do not carry such a scorer; the message names
            those they do.
    """
    able = [name for name in SCORERS if _carries(detector, name)]
    if scorer not in able:
        raise InvalidSpecError(
            f"what {detector.spec.name!r} has kept does not carry the scorer {scorer!r}; it "
            f"carries: {', '.join(able)}"
        )
    known = SCORERS[scorer].descriptors
    descriptor = detector.spec.descriptor if detector.spec.descriptor in known else ""
    spec = replace(detector.spec, scorer=scorer, descriptor=descriptor)
    return replace(detector, spec=spec, calibration=None, threshold=None, stale=False)


def _carries(detector: Detector, scorer: str) -> bool:
    kind = SCORERS[scorer]
    whole = any(isinstance(part, Moments) for part in detector.statistics.values())
    places = REGIONAL in detector.statistics
    needs_places = kind.regional or REGIONAL in kind.descriptors
    needs_whole = any(name != REGIONAL for name in kind.descriptors)
    return (whole or not needs_whole) and (places or not needs_places)


async def recalibrated(service: Service, stored: Stored, detector: Detector) -> Detector:
    """Return a detector calibrated on the images of a version's latest calibration.

    Their rows are judged again, those of known anomalies, too.

    Raises:
        NotCalibratedError: if the version has no such images.
        RowsNotKeptError: if their rows were not kept.
    """
    versions = service.storage.versions
    fitted = {
        image.sha256 for image in await asyncio.to_thread(versions.images, stored.entry)
    }  # some may have been fitted since
    known = await asyncio.to_thread(versions.calibration_images, stored.entry)
    images = [image for image in known if image.sha256 not in fitted]
    others = await asyncio.to_thread(versions.known_anomalies, stored.entry)
    odd = [image for image in others if image.sha256 not in fitted]
    if not images:
        raise NotCalibratedError(
            f"version {stored.detector.version} of {stored.entry.name!r} has no calibration images "
            "to judge again: give a threshold by value"
        )
    if not all(image.rows_blob for image in (*images, *odd)):
        raise RowsNotKeptError(
            "the rows of the calibration images were not kept (GATEWATCH_KEEP_FITTED_ROWS): give a "
            "threshold by value, or calibrate again"
        )
    contributions, groups, inputs = [], [], []
    async for part, rows in rows_of(service, images):
        contributions.append(await service.in_pool(partial(detector.contributions, rows)))
        groups += [image.group for image in part]
        inputs.append(rows.inputs)
    anomalies = [np.zeros(0)]
    async for _, rows in rows_of(service, odd):
        anomalies.append(await service.in_pool(partial(detector.scores, rows)))
    calibrated = detector.calibrate(
        np.concatenate(contributions), groups=groups, anomalies=np.concatenate(anomalies)
    )
    return calibrated.having(calibration=calibrated.require_calibrated().looking(inputs))
