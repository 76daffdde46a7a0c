"""Where samples come from, images or others: a name and a way to read the bytes.

Bytes are read when they are needed, not before, so that a large upload need not fit in memory.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.errors import (
    MalformedUploadError,
    NoImagesError,
    TooManyImagesError,
    UndecodableImageError,
    UnsupportedMediaTypeError,
)
from app.intake.matching import by_name, check_order, is_text, text_of
from detector.errors import SampleError

if TYPE_CHECKING:
    from detector.kinds import Kind

FIELD, SAMPLES_FIELD, TEXTS_FIELD, MASK_FIELD = "images", "samples", "texts", "mask"
FIELDS = (FIELD, SAMPLES_FIELD)
"""Two names for the same."""
MULTIPART = "multipart/form-data"
OCTETS = "application/octet-stream"
JSON, NDJSON = "application/json", "application/x-ndjson"
ONE_SAMPLE = ("image/*", "audio/*", "video/*", "text/*", OCTETS)
"""Of a body that is one sample as it is, whatever its kind: decoding says if it is none."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


KindOf = Callable[[], Awaitable["Kind | None"]]
"""Finds what the samples are that the detector of a request takes, if that has to be known; None
if none of the detectors exists."""


@dataclass(frozen=True, slots=True)
class Source:
    """One sample that has not been read yet; it can be read more than once."""

    name: str
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Upload:
    """The images of one request, and the mask that was sent with them."""

    images: list[Source]
    mask: "bytes | str | None" = None
    """An image file, or polygons as JSON text; see ``app.images.masks``."""
    deadline_s: float = math.inf
    """Of ``time.perf_counter``; what is not embedded by then is refused."""
    alone: bool = False
    """Whether the body was one sample as it is: its failure is the request's."""


def from_bytes(name: str, content: bytes) -> Source:
    """Return bytes at hand as a source."""

    async def read() -> bytes:
        return content

    return Source(name, read)


def from_error(name: str, error: SampleError) -> Source:
    """Return an image that is known not to be readable as a source, which says so when read."""

    async def read() -> bytes:
        raise error

    return Source(name, read)


def from_path(path: Path) -> Source:
    """Return a file as a source."""

    async def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error

    return Source(str(path), read)


def media_type(request: Request) -> str:
    """Return a request's media type without its parameters, in lower case."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def is_sample(sent: str) -> bool:
    """Whether a body of this media type is one sample as it is, of whatever kind."""
    return sent == OCTETS or f"{sent.partition('/')[0]}/*" in ONE_SAMPLE


async def whole_body(request: Request) -> bytes:
    """Return a request's body.

    Raises:
        MalformedUploadError: if it ends early.
    """
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise MalformedUploadError("the body ended early") from error


@asynccontextmanager
async def from_request(request: Request, max_images: int, kind_of: KindOf) -> AsyncIterator[Upload]:
    """Give the samples of a request: a raw body, or a multipart form's ``images`` fields.

    Those may be called ``samples``, too. A form may carry one ``mask``, for all of its images, and,
    for a kind whose samples are pairs, as many ``texts``: the i-th is that of the i-th file.
    ``app.intake.requests`` takes more.

    Raises:
        UnsupportedMediaTypeError: if the body is neither.
        NoImagesError: if there is no image.
        TooManyImagesError: if there are more than ``max_images``.
        MalformedUploadError: if the form cannot be read, is cut short or has other fields.
    """
    sent = media_type(request)
    if sent == MULTIPART:
        form = await _form(request, max_images)
        try:
            yield await _files(form, max_images, kind_of)
        finally:
            await form.close()
    elif is_sample(sent):
        yield Upload([from_bytes("", await whole_body(request))], alone=True)
    else:
        got = f"got {sent!r}" if sent else "got none"
        raise UnsupportedMediaTypeError(
            f"send Content-Type {', '.join(ONE_SAMPLE)}, {MULTIPART}, application/zip, {JSON} or "
            f"{NDJSON}; {got}"
        )


class _Parser(MultiPartParser):
    """Starlette's, but a form that is cut short is an error, not a shorter form."""

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], max_files: int
    ) -> None:
        fields = max_files + 16  # a text to each file
        super().__init__(headers, self._whole(stream), max_files=max_files + 1, max_fields=fields)
        self._ended = False

    def on_end(self) -> None:
        """Note the closing boundary."""
        self._ended = True

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._ended:
            raise MultiPartException("It ends before its closing boundary.")


async def _form(request: Request, max_images: int) -> FormData:
    try:
        return await _Parser(request.headers, request.stream(), max_images).parse()
    except (MultiPartException, ClientDisconnect, UnicodeError) as error:
        reason = getattr(error, "message", str(error)) or "It ended early."
        if "Too many files" in reason:
            raise _too_many(max_images) from error
        raise MalformedUploadError(f"the multipart body cannot be read: {reason}") from error


async def _files(form: FormData, max_images: int, kind_of: KindOf) -> Upload:
    images: list[Source] = []
    texts: list[str] = []
    masks: list[bytes | str] = []
    for field, value in form.multi_items():
        if field == MASK_FIELD:
            masks.append(value if isinstance(value, str) else await value.read())
        elif field in FIELDS and isinstance(value, UploadFile):
            images.append(_from_file(value))
        elif field == TEXTS_FIELD and isinstance(value, str):
            texts.append(value)
        else:
            raise _unexpected(field)
    if not images:
        raise NoImagesError(f"the form has no image: send files as {FIELD!r}")
    if len(images) > max_images:  # the parser leaves room for one more file, the mask
        raise _too_many(max_images)
    if len(masks) > 1:
        raise MalformedUploadError(f"{len(masks)} masks: one counts for all images of the request")
    if texts or any(is_text(image.name) for image in images):
        images = _paired(images, texts, await kind_of())
    return Upload(images, masks[0] if masks else None)


def _unexpected(field: str) -> MalformedUploadError:
    return MalformedUploadError(
        f"unexpected field {field!r}: send files, named {FIELD!r}, and at most one {MASK_FIELD!r}"
    )


def _paired(files: list[Source], texts: list[str], kind: "Kind | None") -> list[Source]:
    """Return a source for every file with its text, and for whatever has none."""
    if kind is None:
        return files  # which no detector will look at
    if not kind.pairs:
        if texts:
            raise _unexpected(TEXTS_FIELD)
        return files
    if texts:
        check_order(len(files), len(texts))
        said = [from_bytes("", text.encode()) for text in texts]
        return [_from_pair(*each, kind.pair) for each in zip(files, said, strict=True)]
    pairs = by_name([file.name for file in files])
    used = set(pairs.values())
    return [
        _from_pair(file, files[pairs[at]], kind.pair) if at in pairs else file
        for at, file in enumerate(files)
        if at not in used
    ]


def _from_pair(file: Source, text: Source, pair: Callable[[bytes, str], bytes]) -> Source:
    async def read() -> bytes:
        try:
            said = text_of(await text.read())
        except UnicodeDecodeError as error:
            raise UndecodableImageError(f"its text is no UTF-8: {error}") from error
        return await asyncio.to_thread(pair, await file.read(), said)

    return Source(file.name, read)


def _from_file(file: UploadFile) -> Source:
    async def read() -> bytes:
        await file.seek(0)
        return await file.read()

    return Source(file.filename or "", read)


def _too_many(max_images: int) -> TooManyImagesError:
    return TooManyImagesError(f"at most {max_images} images in one request")
