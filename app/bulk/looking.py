"""From the images of a fragment to a part: read, hashed, embedded once, by the service's own way.

An image that is held out is embedded as it is, one that is fitted with its mirrored views where
the detector wants them: which it is, its bytes say, so they are read before either begins.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

from app import problems
from app.bulk.fragments import Item
from app.bulk.part import IS_REST, Part, Seen
from app.bulk.plan import HoldOut
from app.images.sources import from_bytes
from app.results import Rejected
from app.scoring.arriving import Failure, Look
from app.scoring.ingest import Ingest
from app.scoring.looking import look_of
from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import SampleError

AT_ONCE_IMAGES = 64
"""Images whose bytes are in memory at the same time; twice as many, as the next are read early."""
READS = 8
"""Images that are read at the same time: a bucket lets one wait."""


async def part_of(
    ingest: Ingest, detector: Detector, hold_out: HoldOut, items: Iterable[Item]
) -> Part:
    """Return the part that some images make. Raises as ``parts_of``."""
    parts = [part async for part in parts_of(ingest, detector, hold_out, items)]
    return Part.merged([Part.of(detector, hold_out, ()), *parts])


async def parts_of(
    ingest: Ingest, detector: Detector, hold_out: HoldOut, items: Iterable[Item]
) -> AsyncGenerator[Part, None]:
    """Yield the parts that images make, some of them at a time, in their order.

    The next are read while one lot is embedded.

    Raises:
        UnavailableError: if the service is stopping.
        StorageUnavailableError: if the store that they lie in fails.
        UnreadableSourceError: if a file of theirs has gone.
        MaskMismatchError: if the detector wants a mask with every image.
    """
    fitting, holding = (look_of(detector, None, fitting=fits) for fits in (True, False))
    coming = iter(items)
    with ThreadPoolExecutor(READS, thread_name_prefix="read") as readers:
        read = partial(asyncio.to_thread, _read, coming, readers)
        reading = asyncio.create_task(read())
        try:
            while some := await reading:
                reading = asyncio.create_task(read())
                seen = [each for each in some if isinstance(each, Seen)]
                images = [each for each in some if isinstance(each, _Bytes)]
                # Those that look alike go together: full batches.
                alone = [
                    each for each in images if fitting.mirrored and hold_out.holds(each.sha256)
                ]
                rest = [each for each in images if each not in alone]
                seen += await _embedded(ingest, fitting, rest)
                seen += await _embedded(ingest, holding, alone)
                yield await ingest.in_pool(partial(Part.of, detector, hold_out, seen))
        finally:
            await asyncio.gather(reading, return_exceptions=True)


class _Bytes:
    """An image that was read."""

    def __init__(self, item: Item, content: bytes) -> None:
        self.item, self.content = item, content
        self.sha256 = hashlib.sha256(content).hexdigest()


def _read(coming: Iterator[Item], readers: ThreadPoolExecutor) -> list["_Bytes | Seen"]:
    return list(readers.map(_one, islice(coming, AT_ONCE_IMAGES)))


def _one(item: Item) -> "_Bytes | Seen":
    try:
        return _Bytes(item, item.read())
    except SampleError as error:
        return left_out(item, "", error)


async def _embedded(ingest: Ingest, look: Look, images: list[_Bytes]) -> list[Seen]:
    sources = [from_bytes(each.item.name, each.content) for each in images]
    following = iter(images)
    seen = []
    async for _, outcome in ingest.embed_all(sources, look):
        each = next(following)
        seen.append(
            Seen(each.item.name, each.item.group, each.sha256, outcome)
            if isinstance(outcome, Embedding)
            else left_out(each.item, each.sha256, outcome)
        )
    return seen


def left_out(item: Item, sha256: str, error: Failure) -> Seen:
    """Return an image that cannot be used, with its problem."""
    problem = problems.of(error).model_dump()
    rejected = Rejected(item.name, {**problem, IS_REST: True} if item.is_rest else problem)
    return Seen(item.name, item.group, sha256, rejected)
