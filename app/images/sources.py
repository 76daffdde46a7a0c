"""Where the samples of a request come from, images or others: its body, or the files of a form."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request

from app.errors import MalformedUploadError, NoImagesError, UnsupportedMediaTypeError
from app.images.multipart import form_of, paired, too_many
from app.images.samples import Source as Source
from app.images.samples import from_bytes as from_bytes
from app.images.samples import from_error as from_error
from app.images.samples import from_path as from_path
from app.intake.matching import is_text

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
class Upload:
    """The images of one request, and the mask that was sent with them."""

    images: list[Source]
    mask: "bytes | str | None" = None
    """An image file, or polygons as JSON text; see ``app.images.masks``."""
    deadline_s: float = math.inf
    """Of ``time.perf_counter``; what is not embedded by then is refused."""
    alone: bool = False
    """Whether the body was one sample as it is: its failure is the request's."""


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


async def lone(request: Request, deadline_s: float = math.inf) -> Upload:
    """Return the one sample that is a request's body. Raises as ``whole_body``."""
    content = await whole_body(request)
    return Upload([from_bytes("", content)], deadline_s=deadline_s, alone=True)


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
        form = await form_of(request, max_images)
        try:
            yield await _files(form, max_images, kind_of)
        finally:
            await form.close()
    elif is_sample(sent):
        yield await lone(request)
    else:
        got = f"got {sent!r}" if sent else "got none"
        raise UnsupportedMediaTypeError(
            f"send Content-Type {', '.join(ONE_SAMPLE)}, {MULTIPART}, application/zip, {JSON} or "
            f"{NDJSON}; {got}"
        )


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
        elif field in FIELDS:
            raise no_file(field)
        else:
            raise _unexpected(field)
    if not images:
        raise NoImagesError(f"the form has no image: send files as {FIELD!r}")
    if len(masks) > 1:
        raise MalformedUploadError(f"{len(masks)} masks: one counts for all images of the request")
    if texts or any(is_text(image.name) for image in images):
        kind = await kind_of()
        if texts and kind is not None and not kind.pairs:
            raise _unexpected(TEXTS_FIELD)
        if kind is not None and kind.pairs:  # else no detector will look at them, or at each alone
            images = paired(images, texts, kind)
    if len(images) > max_images:  # a pair is one; the parser leaves room for both, and the mask
        raise too_many(max_images)
    return Upload(images, masks[0] if masks else None)


def no_file(field: str) -> MalformedUploadError:
    """Return what is said of text where a file belongs: with curl, of a forgotten @."""
    return MalformedUploadError(f"field {field!r} is text, not a file: with curl, {field}=@FILE")


def _unexpected(field: str) -> MalformedUploadError:
    return MalformedUploadError(
        f"unexpected field {field!r}: send files, named {FIELD!r}, and at most one {MASK_FIELD!r}"
    )


def _from_file(file: UploadFile) -> Source:
    async def read() -> bytes:
        await file.seek(0)
        return await file.read()

    return Source(file.filename or "", read)
