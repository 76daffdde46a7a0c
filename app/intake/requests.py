"""The samples of a request that is answered at once, whatever carried them.

One as it is; a form; a zip file, which lies on the disk until the request is answered, by
the rules of ``app.intake.archives``, no more of them unpacked at the same time than there are
threads that decode; JSON or NDJSON, parsed on a thread.
"""

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from starlette.requests import Request

from app.admit import unpacked
from app.errors import TooManyImagesError, UploadTooLargeError
from app.images import documents, sources
from app.images.sources import JSON, NDJSON, KindOf, Upload, media_type
from app.intake.limits import Limits
from app.intake.spool import SpoolFile, as_sources
from app.intake.spooling import ZIP, spool
from app.settings import Settings
from detector.kinds import image


def _nothing(_: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class RequestLimits(Limits):
    """What one such request may bring: as a job, but less, and other settings say how much."""

    TOO_LONG = (
        ": that is more images than one request may have (max_request_images), send the rest in "
        "another"
    )
    hold: Callable[[int], None] = _nothing
    """Called with the bytes that were unpacked so far; raises if there is no room for them."""

    @classmethod
    def of(cls, settings: Settings, hold: Callable[[int], None] = _nothing) -> "RequestLimits":
        """Return those of the settings; what is unpacked counts like a body that is not packed."""
        return cls(
            images=settings.max_request_images,
            total_bytes=settings.max_body_bytes,
            image_bytes=settings.max_image_bytes,
            ratio=settings.max_compression_ratio,
            body_bytes=settings.max_body_bytes,
            hold=hold,
        )

    def check_count(self, count: int) -> None:
        """Refuse more images than a request may have. Raises TooManyImagesError."""
        if count > self.images:
            raise TooManyImagesError(
                f"at most {self.images} images in one request (max_request_images): send the rest "
                "in another"
            )

    def check_total(self, size: int) -> None:
        """Refuse more bytes than all images may have, or than there is room for now.

        Raises:
            UploadTooLargeError, OverloadedError
        """
        if size > self.total_bytes:
            raise UploadTooLargeError(
                f"more than {self.total_bytes} bytes unpacked in one request (max_body_bytes): "
                "send some of the images in another"
            )
        self.hold(size)


@cache
def unpacking(most: int) -> threading.BoundedSemaphore:
    """Return what those of this process hold who unpack, so many at the same time.

    Of threads, not of the event loop: it is held while a file is unpacked, not while it arrives.
    """
    return threading.BoundedSemaphore(most)


@asynccontextmanager
async def from_request(
    request: Request, settings: Settings, kind_of: KindOf
) -> AsyncIterator[Upload]:
    """Give the samples of a request, and the mask that came with them.

    What they are is asked only where the body alone does not say how it is to be read.

    Raises:
        UnknownDetectorError, WrongKindError: if it has to be known, and there is no one answer.
        RequestValidationError: if JSON is not as described.
        RefusedMemberError: if a zip file holds what it may not.
        TooManyImagesError, UploadTooLargeError, CompressionRatioError: if it is over a limit.
        OverloadedError: if a zip file unpacks to more than there is room for now.
        as ``app.images.sources.from_request``.
    """
    sent = media_type(request)
    limits = RequestLimits.of(settings, partial(unpacked, request.scope))
    if sent in ZIP:
        kind = await kind_of() or image.KIND
        incoming = settings.data_dir / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=incoming) as folder:
            path, slot = Path(folder) / "images.zip", unpacking(settings.decode_threads)
            spooled = await spool(request, limits, path, kind=kind, unpacking=slot)
            with await asyncio.to_thread(SpoolFile, spooled.path) as images:
                yield Upload(as_sources(images))
    elif sent in {JSON, NDJSON}:
        asked = await kind_of()
        body = await sources.whole_body(request)
        parse = documents.parse if sent == JSON else documents.parse_lines
        yield await asyncio.to_thread(parse, body, limits, asked)
    else:
        async with sources.from_request(request, limits.images, kind_of) as upload:
            yield upload
