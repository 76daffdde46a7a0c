"""Where scores come from, of samples whose kind has a network of its own.

A sample is decoded again and passes the network once more, alone, for its maps; so it is done for
those alone of whom it is asked, on the threads that judge.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

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
from detector.places import shares


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


async def with_places(
    ingest: Ingest,
    networks: Networks,
    stored: Stored,
    sources: Sequence[Source],
    scored: Scored,
    *,
    asked: bool | None,
) -> Scored:
    """Return what was scored, each sample with where its score comes from.

    Args:
        ingest: whose threads do it.
        networks: of detectors.
        stored: the detector that scored.
        sources: of the samples, in order; they are read again.
        scored: what it said of them.
        asked: whether somebody wants it; None if the kind is to decide.

    Raises:
        NoMapError: if it is asked for and cannot be told.
    """
    kind = learned_kind(stored.detector.spec.kind)
    if asked is False or (asked is None and not (kind and kind.located_always)):
        return scored
    learned = await networks.of(stored.detector)
    if learned is None:
        raise NoMapError("places are told of other kinds than images: ask for a map of an image")
    call = partial(locate, stored.detector, learned)
    turns = asyncio.Semaphore(ingest.threads)  # others have samples to decode on them

    async def one(source: Source, judged: Judged) -> Judged:
        if judged.verdict is None:
            return judged
        async with turns:
            places = await ingest.judged(partial(call, await source.read()))
        return replace(judged, places=places.located)

    pairs = zip(sources, scored.results, strict=True)
    try:
        return replace(scored, results=await together(one(*pair) for pair in pairs))
    except NoMapError:
        if asked:
            raise
        return scored
