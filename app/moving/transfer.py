"""Bundles over HTTP: down from a file without a name, and up into one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import IO

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from app.errors import MalformedUploadError, UnsupportedMediaTypeError
from app.images.sources import OCTETS, media_type
from app.intake.archives import CHUNK
from app.intake.spooling import ZIP
from app.middleware import allow_body
from app.moving.move import Brought, bring, export
from app.service import Service
from app.storage.audit import By

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in (ZIP[0], OCTETS)
        },
    }
}
"""How OpenAPI describes a bundle that is sent."""


async def download(
    service: Service, name: str, by: By, *, version: int | None, rows: bool
) -> StreamingResponse:
    """Return an export as the answer to a request. Raises as ``export``."""
    file = _nameless(service)
    try:
        stored = await export(service, name, file, by, version=version, rows=rows)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    told = f'attachment; filename="{name}-v{stored.detector.version}.gatewatch"'
    headers = {"Content-Disposition": told, "Content-Length": str(size)}
    return StreamingResponse(_content(file), headers=headers, media_type=ZIP[0])


async def upload(
    service: Service, request: Request, response: Response, by: By, name: str = ""
) -> Brought:
    """Import the bundle that is a request's body; the answer says where the detector is.

    Raises:
        UnsupportedMediaTypeError: if the body is of another kind.
        MalformedUploadError: if it ends early.
        and as ``bring``.
    """
    kind = media_type(request)
    if kind not in {*ZIP, OCTETS}:
        raise UnsupportedMediaTypeError(f"send Content-Type {ZIP[0]} or {OCTETS}, got {kind!r}")
    allow_body(request.scope, service.settings.max_upload_bytes)
    async with _received(service, request) as file:
        brought = await bring(service, file, by, name)
    response.headers["Location"] = f"/v1/detectors/{brought.stored.entry.name}"
    return brought


@asynccontextmanager
async def _received(service: Service, request: Request) -> AsyncIterator[IO[bytes]]:
    with _nameless(service) as file:
        try:
            async for content in request.stream():
                await asyncio.to_thread(file.write, content)
        except ClientDisconnect as error:
            raise MalformedUploadError("the body ended early: send it again") from error
        yield file


def _nameless(service: Service) -> IO[bytes]:
    """Return a file on the disk that has no name: it is gone with the process, however it ends."""
    folder = service.settings.data_dir / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return TemporaryFile(dir=folder)


async def _content(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while content := await asyncio.to_thread(file.read, CHUNK):
            yield content
