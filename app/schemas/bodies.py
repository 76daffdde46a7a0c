"""How OpenAPI describes the bodies that bring images, which routes read by themselves."""

from typing import Any

from app.images.sources import FIELD, JSON, MASK_FIELD, MULTIPART, NDJSON, OCTETS
from app.intake.spooling import TAR, ZIP
from app.schemas.images import SentImages
from app.schemas.v2 import described


def _binary(media_type: str) -> dict[str, object]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def _form_schema(**bounds: int) -> dict[str, object]:
    return {
        "type": "object",
        "required": [FIELD],
        "additionalProperties": False,
        "properties": {
            FIELD: {
                "type": "array",
                "minItems": 1,
                **bounds,
                "items": {"type": "string", "format": "binary"},
            },
            MASK_FIELD: {
                "type": "string",
                "format": "binary",
                "description": "What counts of every image, for a detector created with "
                "mask 'request': an image file (white counts, black does not), or polygons "
                "as JSON, corners as fractions of width and height: [[[0,0],[1,0],[1,1]]].",
            },
        },
    }


def _body(**bounds: int) -> dict[str, Any]:
    content: dict[str, Any] = {MULTIPART: {"schema": _form_schema(**bounds)}}
    for media_type in ("image/*", OCTETS):
        content |= _binary(media_type)
    return {"requestBody": {"required": True, "content": content}}


def _many() -> dict[str, Any]:
    body = _body()
    content = body["requestBody"]["content"]
    for media_type in ZIP:
        content |= _binary(media_type)
    content |= described(SentImages)["requestBody"]["content"]
    content[NDJSON] = {
        "schema": {
            "type": "string",
            "description": f"One image a line, as in the member images of {JSON}: "
            '{"name": "a.png", "data": "<base64>"}.',
        }
    }
    return body


def _job_body(*, anomalies: bool = False) -> dict[str, object]:
    form: dict[str, Any] = _form_schema()
    properties = form["properties"]
    properties["groups"] = {
        "type": "string",
        "description": 'JSON object of file names and their groups: {"a.png": "lot 7"}.',
    }
    if anomalies:
        properties["anomalies"] = properties[FIELD] | {"description": "Known anomalies."}
    content: dict[str, object] = {MULTIPART: {"schema": form}}
    for media_type in ("image/*", OCTETS, *ZIP, *TAR):
        content |= _binary(media_type)
    return {"requestBody": {"required": False, "content": content}}


JOB_BODY, CALIBRATION_BODY = _job_body(), _job_body(anomalies=True)
"""How OpenAPI describes what a job's images come in; ``app.intake.spooling`` reads it."""

IMAGES_BODY, IMAGE_BODY = _many(), _body(maxItems=1)
"""How OpenAPI describes a body of images, or of one; routes read it through ``UploadDep``, and take
one image in a zip file or in JSON as well, which nobody needs."""
