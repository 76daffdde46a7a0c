"""The samples of a request that begins a job, whatever carried them, into one spool on the disk.

The body is taken as it arrives: reading, unpacking, hashing and writing run on a thread of the
upload's own, which asks the event loop for the next bytes when it wants them. So memory stays the
same whatever the size of the body, and a slow client holds up nobody else.
"""

import asyncio
import concurrent.futures
import io
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from app.errors import MalformedUploadError, UnsupportedMediaTypeError
from app.images.sources import JSON, MULTIPART, NDJSON, ONE_SAMPLE, is_sample, media_type
from app.intake.archives import CHUNK
from app.intake.forms import read_form
from app.intake.grouping import Grouping
from app.intake.limits import Limits
from app.intake.lines import read_document, read_lines
from app.intake.pairs import Halves
from app.intake.spool import Spooled
from app.intake.spool_writer import SpoolWriter
from app.intake.untar import read_tar
from app.intake.unzip import read_zip
from app.middleware import allow_body
from detector.kinds import Kind, image

ZIP = ("application/zip", "application/x-zip-compressed")
TAR = (
    "application/x-tar",
    "application/gzip",
    "application/x-gzip",
    "application/x-gtar",
    "application/x-compressed-tar",
)


async def spool(
    request: Request,
    limits: Limits,
    path: Path,
    *,
    kind: Kind = image.KIND,
    grouping: Grouping | None = None,
    anomalies: bool = False,
    unpacking: AbstractContextManager[object] | None = None,
) -> Spooled:
    """Write the samples of a request's body to a new file; on any failure there is none.

    A body is one sample, by its media type or because the kind's are JSON, a multipart form
    (``app.intake.forms``), a sample a line (``app.intake.lines``), or a zip or tar file, the latter
    gzipped or not (``app.intake.archives``).

    Args:
        request: Its body must not have been read.
        limits: Of the job; the limit on the body is raised to theirs.
        path: Of the file; nothing may be there yet.
        kind: Of the samples.
        grouping: Which group each image belongs to; none unless given.
        anomalies: Whether a form may bring known anomalies.
        unpacking: What is held, on the upload's thread, while a zip file is unpacked.

    Raises:
        UnsupportedMediaTypeError: if the body is none of those.
        MalformedUploadError: if it cannot be read or ends early.
        NoImagesError: if it holds no image.
        TooManyImagesError, UploadTooLargeError, CompressionRatioError: if it is over a limit.
        RefusedMemberError: if an archive holds what it may not.
        InvalidGroupError: if the groups are contradictory or not readable.
        RequestValidationError: if a line is not as described.
    """
    sent = media_type(request)
    known = {MULTIPART, NDJSON, *ZIP, *TAR, *([JSON] if kind.json else [])}
    if sent not in known and not is_sample(sent):
        raise UnsupportedMediaTypeError(
            f"send Content-Type {', '.join(ONE_SAMPLE)}, {MULTIPART}, {NDJSON}, {ZIP[0]} or "
            f"{TAR[0]}; " + (f"got {sent!r}" if sent else "got none")
        )
    allow_body(request.scope, limits.body_bytes)
    content_type = request.headers["content-type"]
    read = partial(
        _read,
        sent,
        content_type,
        grouping=grouping or Grouping(),
        anomalies=anomalies,
        unpacking=unpacking or nullcontext(),
    )
    has_halves = kind.pairs and sent in {MULTIPART, *ZIP, *TAR}
    return await _on_thread(request, partial(_fill, path, limits, kind, has_halves, read))


def _read(
    sent: str,
    content_type: str,
    body: io.BufferedReader,
    writer: SpoolWriter,
    *,
    grouping: Grouping,
    anomalies: bool,
    unpacking: AbstractContextManager[object],
) -> Grouping:
    """Write a body's samples; return the grouping with what the body says of groups."""
    if sent == MULTIPART:
        return read_form(body, content_type, writer, grouping, anomalies=anomalies)
    if sent in ZIP:
        read_zip(body, writer, unpacking)
    elif sent in TAR:
        read_tar(body, writer)
    elif sent == NDJSON:
        read_lines(body, writer)
    elif sent == JSON:
        read_document(body, writer)
    else:
        writer.begin("")
        while content := body.read(CHUNK):
            writer.write(content)
        writer.end()
    return grouping


def _fill(
    path: Path,
    limits: Limits,
    kind: Kind,
    has_halves: bool,
    read: Callable[[io.BufferedReader, SpoolWriter], Grouping],
    body: "_Body",
) -> Spooled:
    stream: io.BufferedReader = io.BufferedReader(body, CHUNK)
    with SpoolWriter(path, limits, body.stopped, kind) as writer:
        if has_halves:
            beside = path.with_name(f"{path.name}.halves")
            with Halves(beside, limits, body.stopped, kind) as halves:
                grouping = read(stream, halves)
                halves.join(writer)
        else:
            grouping = read(stream, writer)
        return writer.finish(grouping)


async def _on_thread(request: Request, fill: Callable[["_Body"], Spooled]) -> Spooled:
    """Run the filling of a spool; a request that is cancelled takes the file with it."""
    loop = asyncio.get_running_loop()
    body = _Body(request.stream(), loop)
    thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
    filling = loop.run_in_executor(thread, fill, body)
    try:
        return await asyncio.shield(filling)
    except asyncio.CancelledError:
        body.stop()
        await asyncio.wait([filling])
        if filling.exception() is None:
            filling.result().path.unlink()
        raise
    finally:
        thread.shutdown(wait=False)


class _Body(io.RawIOBase):
    """A request's body as a file, for a thread that is not the event loop's."""

    def __init__(
        self, stream: AsyncGenerator[bytes, None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._stream = stream
        self._loop = loop
        self._lock = threading.Lock()
        self._chunk = memoryview(b"")
        self._coming: concurrent.futures.Future[bytes] | None = None
        self.stopped = threading.Event()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer, waiting for the client; 0 at the end.

        Raises:
            MalformedUploadError: if the client has gone.
        """
        if not self._chunk:
            self._chunk = memoryview(self._next())
        size = min(len(buffer), len(self._chunk))
        buffer[:size] = self._chunk[:size]
        self._chunk = self._chunk[size:]
        return size

    def stop(self) -> None:
        """End the body here, as if the client had gone; what has come is not written either."""
        with self._lock:
            self.stopped.set()
            if self._coming:
                self._coming.cancel()

    def _next(self) -> bytes:
        with self._lock:
            if self.stopped.is_set():
                raise MalformedUploadError("the upload was cancelled")
            self._coming = asyncio.run_coroutine_threadsafe(self._some(), self._loop)
        try:
            return self._coming.result()
        except (ClientDisconnect, concurrent.futures.CancelledError) as error:
            raise MalformedUploadError("the body ended early: send it again") from error

    async def _some(self) -> bytes:
        """Return the next bytes, not too few, for each call is a change of threads."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self._stream:
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK:
                break
        return b"".join(pieces)
