"""A picture of our own, sent the way of all others: decoded, queued, embedded and judged.

It is neither counted among what was scored nor kept.
"""

import asyncio
import math
from functools import partial

import numpy as np
import simplejpeg

from app.catalogue import Catalogue, kind_of_entry
from app.errors import StorageUnavailableError
from app.health.heartbeats import Heartbeats
from app.images import sources
from app.scoring import judging
from app.scoring.arriving import Arrived, Look
from app.scoring.ingest import Ingest
from app.scoring.looking import look_of
from app.settings import Settings
from app.storage.version_reader import Stored
from detector.errors import DetectorError
from detector.kinds.image import KIND as IMAGE
from detector.spec import DEFAULT_IMAGE_SIZE


class Canary:
    """Sends it; one at a time."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, ingest: Ingest, heartbeats: Heartbeats
    ) -> None:
        self._catalogue = catalogue
        self._ingest = ingest
        self._heartbeats = heartbeats
        side_px = max(DEFAULT_IMAGE_SIZE, settings.min_image_side)
        self._source = _picture(min(side_px, math.isqrt(settings.max_image_pixels)))

    async def send(self, *, judged: bool = True) -> None:
        """Send one, and return when it was judged, if any detector can.

        Raises:
            OverloadedError: if there is no room for it: others are at work.
            DetectorError: whatever else an image could fail by.
        """
        stored = await self._detector() if judged else None
        look = Look(DEFAULT_IMAGE_SIZE) if stored is None else look_of(stored.detector, None)
        if self._ingest.goes_through([self._source], look):  # as the traffic does
            found = await self._ingest.embed_through(self._source, look, _nothing)
            arrived = found[0] if isinstance(found, tuple) else found
        else:
            (arrived,) = await self._ingest.embed_now([self._source], look)
        if not isinstance(arrived, Arrived):
            raise arrived
        if stored is not None:
            call = partial(judging.judge, stored, None, [self._source.name], [arrived], "")
            await self._ingest.in_pool(call, self._heartbeats.judge)

    async def _detector(self) -> Stored | None:
        """Return a detector in service that any image can be sent to, if there is one."""
        for entry in await asyncio.to_thread(self._catalogue.all):
            if not entry.version.summary["fitted_images"] or kind_of_entry(entry) is not IMAGE:
                continue
            try:
                stored = await self._catalogue.usable(entry.name, None, allow_stale=True)
                look_of(stored.detector, None)
            except StorageUnavailableError:
                raise
            except DetectorError:
                continue  # not every detector can be asked: of another backbone, with a mask
            return stored
        return None


def _nothing(_: Arrived) -> None:
    """Judge nothing yet: that is for the pool, which must be well, too."""


def _picture(side_px: int) -> sources.Source:
    """Return a JPEG of noise over a slope: no decoder and no statistic finds it degenerate."""
    slope = np.linspace(40, 200, side_px)
    noise = np.random.default_rng(0).normal(0, 12, (side_px, side_px, 3))
    pixels = np.clip(slope[None, :, None] + noise, 0, 255).astype(np.uint8)
    return sources.from_bytes("canary", simplejpeg.encode_jpeg(pixels, quality=90))
