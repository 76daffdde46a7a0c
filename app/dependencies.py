"""What a route may ask for: the service, and the images of the request."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Request, Response

from app import sources
from app.results import Scored
from app.service import Service
from app.sources import MULTIPART, OCTETS, Upload


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


ServiceDep = Annotated[Service, Depends(_service)]


async def _upload(request: Request, service: ServiceDep) -> AsyncIterator[Upload]:
    async with sources.from_request(request, service.settings.max_request_images) as upload:
        yield upload  # and then the uploaded files, which may lie on the disk, are closed


UploadDep = Annotated[Upload, Depends(_upload)]


class ScoreAnswer:
    """Makes a scored request an answer: timings in a header, the error of a raw image raised."""

    def __init__(self, request: Request, response: Response) -> None:
        self._is_raw = sources.media_type(request) != MULTIPART
        self._response = response

    def of(self, scored: Scored) -> Scored:
        """Return what was scored, with ``Server-Timing`` set on the response.

        Raises:
            ImageError, InferenceError: if the request was one raw image that cannot be scored.
        """
        first = scored.results[0]
        if first.error is not None and self._is_raw:
            raise first.error
        timings = [result.timings for result in scored.results if result.timings]
        if timings:
            longest = {
                stage: max(getattr(item, f"{stage}_s") for item in timings)
                for stage in ("decode", "queue", "forward", "judge")
            }
            self._response.headers["Server-Timing"] = ", ".join(
                f"{stage};dur={1e3 * seconds:.2f}" for stage, seconds in longest.items()
            )
        return scored


def _binary(media_type: str) -> dict[str, object]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def _body(**bounds: int) -> dict[str, object]:
    form = {
        "type": "object",
        "required": [sources.FIELD],
        "additionalProperties": False,
        "properties": {
            sources.FIELD: {
                "type": "array",
                "minItems": 1,
                **bounds,
                "items": {"type": "string", "format": "binary"},
            },
            sources.MASK_FIELD: {
                "type": "string",
                "format": "binary",
                "description": "What counts of every image, for a detector created with "
                "mask 'request': an image file (white counts, black does not), or polygons "
                "as JSON, corners as fractions of width and height: [[[0,0],[1,0],[1,1]]].",
            },
        },
    }
    content = {MULTIPART: {"schema": form}} | _binary("image/*") | _binary(OCTETS)
    return {"requestBody": {"required": True, "content": content}}


IMAGES_BODY, IMAGE_BODY = _body(), _body(maxItems=1)
"""How OpenAPI describes a body of images, or of one; routes read it through ``UploadDep``."""
