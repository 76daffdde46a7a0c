"""Multipart forms of a request that is answered at once: their fields, and which files are pairs.

Text is UTF-8, as browsers send it. The ``charset`` of a client is not asked: some of the codecs
that Python knows give lone surrogates, which no text may hold and no answer can carry back.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.errors import MalformedUploadError, TooManyImagesError
from app.images.samples import Source, from_bytes
from app.intake.matching import by_name, check_order, whole

if TYPE_CHECKING:
    from detector.kinds import Kind

_ENCODING = "utf-8"


class _Parser(MultiPartParser):
    """Starlette's, but a form that is cut short is an error, not a shorter form; text is UTF-8.

    File names and names of fields that are no UTF-8 are read as Latin-1, as those of jobs are.
    """

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], max_images: int
    ) -> None:
        files = 2 * max_images + 1  # a text to each, and the mask
        fields = max_images + 16  # a text to each
        super().__init__(headers, self._whole(stream), max_files=files, max_fields=fields)
        self._ended = False

    def on_part_begin(self) -> None:
        """Forget the charset that the client has named."""
        super().on_part_begin()
        self._charset = _ENCODING

    def on_part_end(self) -> None:
        """Refuse a text that is no UTF-8."""
        if self._current_part.file is None:
            try:
                self._current_part.data.decode(_ENCODING)
            except UnicodeDecodeError as error:
                raise MultiPartException(
                    f"field {self._current_part.field_name!r} is no UTF-8: {error.reason}"
                ) from error
        super().on_part_end()

    def on_end(self) -> None:
        """Note the closing boundary."""
        self._ended = True

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._ended:
            raise MultiPartException("It ends before its closing boundary.")


async def form_of(request: Request, max_images: int) -> FormData:
    """Return a request's form; its files are to be closed.

    Raises:
        TooManyImagesError: if it has more files than so many samples have.
        MalformedUploadError: if it cannot be read, is cut short, or a text in it is no UTF-8.
    """
    try:
        return await _Parser(request.headers, request.stream(), max_images).parse()
    except (MultiPartException, ClientDisconnect, UnicodeError) as error:
        reason = getattr(error, "message", str(error)) or "It ended early."
        if "Too many files" in reason:
            raise too_many(max_images) from error
        raise MalformedUploadError(f"the multipart body cannot be read: {reason}") from error


def paired(files: list[Source], texts: list[str], kind: "Kind") -> list[Source]:
    """Return a source for every file with its text, and for whatever has none.

    Raises:
        MalformedUploadError: if there are more texts than files, or fewer.
    """
    if texts:
        check_order(len(files), len(texts))
        said = [from_bytes("", text.encode()) for text in texts]
        return [_pair(*each, kind) for each in zip(files, said, strict=True)]
    pairs = by_name([file.name for file in files])
    used = set(pairs.values())
    return [
        _pair(file, files[pairs[at]], kind) if at in pairs else file
        for at, file in enumerate(files)
        if at not in used
    ]


def _pair(file: Source, text: Source, kind: "Kind") -> Source:
    async def read() -> bytes:
        return await asyncio.to_thread(whole, kind, await file.read(), await text.read())

    return Source(file.name, read)


def too_many(max_images: int) -> TooManyImagesError:
    """Return what is said of more samples than one request may have."""
    return TooManyImagesError(f"at most {max_images} images in one request")
