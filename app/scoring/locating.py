"""Where scores come from, of samples whose kind has a network of its own.

A sample is decoded again and passes the network once more, alone, for its maps; so it is done for
those alone of whom it is asked, on the threads that judge.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.errors import TooManyImagesError
from app.images.sources import Source
from app.results import Judged, Scored
from app.scoring.ingest import Ingest
from app.scoring.networks import Networks
from app.storage.version_reader import Stored
from app.unbroken import together
from detector.detector import Detector
from detector.errors import NoMapError
from detector.kinds import learned_kind
from detector.kinds.kind import Located
from detector.kinds.learned import Learned, prepared
from detector.places import require_places, shares

MOST_LOCATED = 32
"""Samples of one request that are told where their scores come from: each may be 100,000 values."""


@dataclass(frozen=True, slots=True)
class Places:
    """A sample, how it was looked at, and every place's share of its score."""

    learned: Learned
    sample: Any
    located: tuple[Located, ...]

    def picture(self, threshold: float | None) -> Any:
        """Return a picture of the sample with its odd places painted, uint8 (h, w, 3)."""
        kind, view = self.learned.kind, self.learned.view
        return kind.picture(self.sample, view, self.located, threshold)


def locate(detector: Detector, learned: Learned, content: bytes) -> Places:
    """Return where a sample's score comes from; takes a decode and a pass.

    Raises:
        NoMapError: if the detector's scorer has no such decomposition.
        SampleError: if the sample cannot be read.
    """
    sample = learned.kind.decode(content, learned.view)
    found = shares(detector, learned.embedder, prepared(sample, learned.preparation))
    return Places(learned, sample, learned.kind.locate(sample, learned.view, found))


async def asked_of(
    networks: Networks, detector: Detector, samples: int, *, asked: bool | None
) -> Learned | None:
    """Return the network that tells where scores come from, None if none is to; before scoring.

    Args:
        networks: of detectors.
        detector: that scores.
        samples: how many.
        asked: whether somebody wants it; None if the kind is to decide, which it does not for more
            than ``MOST_LOCATED``.

    Raises:
        NoMapError: if it is asked for and cannot be told.
        TooManyImagesError: if it is asked for of more than ``MOST_LOCATED``.
    """
    kind = learned_kind(detector.spec.kind)
    if asked is False or (asked is None and not (kind and kind.located_always)):
        return None
    try:
        if samples > MOST_LOCATED:
            raise TooManyImagesError(
                f"places are told of at most {MOST_LOCATED} samples in one request, got {samples}: "
                "send fewer, or do not ask for places"
            )
        learned = await networks.of(detector)
        if learned is None:
            raise NoMapError("places are told of other kinds than images: ask for a map of one")
        require_places(detector, learned.embedder)
    except (NoMapError, TooManyImagesError):
        if asked:
            raise
        return None
    return learned


async def with_places(
    ingest: Ingest,
    learned: Learned | None,
    stored: Stored,
    sources: Sequence[Source],
    scored: Scored,
    turns: asyncio.Semaphore | None = None,
) -> Scored:
    """Return what was scored, each sample with where its score comes from.

    Args:
        ingest: whose threads do it.
        learned: the network, as ``asked_of`` gives it; None leaves all as it is.
        stored: the detector that scored.
        sources: of the samples, in order; they are read again.
        scored: what it said of them.
        turns: shared with what else of the same request waits for the threads.
    """
    if learned is None:
        return scored
    call = partial(locate, stored.detector, learned)
    free = turns or asyncio.Semaphore(ingest.threads)  # others have samples to decode on them

    async def one(source: Source, judged: Judged) -> Judged:
        if judged.verdict is None:
            return judged
        async with free:
            places = await ingest.judged(partial(call, await source.read()))
        return replace(judged, places=places.located)

    pairs = zip(sources, scored.results, strict=True)
    return replace(scored, results=await together(one(*pair) for pair in pairs))
