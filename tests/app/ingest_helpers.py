"""Sources of images for an ingest: of one grey level each, and some that count who reads them."""

import numpy as np
from batching_helpers import MAX_BATCH
from image_helpers import encode

from app.images.sources import Source, from_bytes
from app.scoring.arriving import Look

LOOK = Look(32)
WINDOW = 2 * MAX_BATCH
"""Images of a stream that are under way at once."""


def picture(grey: int) -> Source:
    """Return a picture of one grey level."""
    return from_bytes(str(grey), encode(np.full((20, 30, 3), grey, np.uint8), "PNG"))


class Counted:
    """Sources that count how many of them have been read."""

    def __init__(self, total: int) -> None:
        self.read = 0
        self.sources = [self._source(number) for number in range(total)]

    def _source(self, number: int) -> Source:
        async def read() -> bytes:
            self.read += 1
            return await picture(number).read()

        return Source(str(number), read)
