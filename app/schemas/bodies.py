"""How OpenAPI describes the bodies that bring samples, which routes read by themselves."""

from typing import Any

from app.images.sources import (
    FIELD,
    FIELDS,
    JSON,
    MASK_FIELD,
    MULTIPART,
    NDJSON,
    ONE_SAMPLE,
    SAMPLES_FIELD,
    TEXTS_FIELD,
)
from app.intake.spooling import TAR, ZIP
from app.schemas.images import SentSamples
from app.schemas.v2 import described

_JSON_SAMPLE = {
    "description": "For a detector whose samples are JSON any document is one sample as it is, "
    f"but an object with {FIELD!r} or {SAMPLES_FIELD!r}."
}


def _binary(media_type: str) -> dict[str, object]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def _form_schema(*fields: str, **bounds: int) -> dict[str, Any]:
    files: dict[str, Any] = {
        "type": "array",
        "minItems": 1,
        **bounds,
        "items": {"type": "string", "format": "binary"},
        "description": f"Files, one a sample; {FIELD!r} and {SAMPLES_FIELD!r} are the same.",
    }
    return {
        "type": "object",
        "anyOf": [{"required": [field]} for field in fields],
        "additionalProperties": False,
        "properties": {
            **{field: files for field in fields},
            TEXTS_FIELD: {
                "type": "array",
                **bounds,
                "items": {"type": "string"},
                "description": "Where a sample is a file with a text: one for each file, in the "
                "same order, in UTF-8. Files a.jpg and a.txt belong together, too.",
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
    names = (FIELD,) if bounds else FIELDS  # of one sample, for both together would be two
    content: dict[str, Any] = {MULTIPART: {"schema": _form_schema(*names, **bounds)}}
    for media_type in ONE_SAMPLE:
        content |= _binary(media_type)
    documents = described(SentSamples)["requestBody"]["content"][JSON]["schema"]
    documents["properties"][FIELD] |= bounds
    content[JSON] = {"schema": {"anyOf": [documents, _JSON_SAMPLE]}}
    return {"requestBody": {"required": True, "content": content}}


def _many() -> dict[str, Any]:
    body = _body()
    content = body["requestBody"]["content"]
    for media_type in ZIP:
        content |= _binary(media_type)
    content |= _lines(f'as in the member images of {JSON}: {{"name": "a.png", "data": "<base64>"}}')
    return body


def _lines(said: str) -> dict[str, object]:
    return {NDJSON: {"schema": {"type": "string", "description": f"One sample a line, {said}."}}}


def _job_body(*, anomalies: bool = False, of_kinds: bool = True) -> dict[str, object]:
    form: dict[str, Any] = _form_schema(*FIELDS)
    properties = form["properties"]
    properties["groups"] = {
        "type": "string",
        "description": 'JSON object of file names and their groups: {"a.png": "lot 7"}.',
    }
    if anomalies:
        properties["anomalies"] = properties[FIELD] | {"description": "Known anomalies."}
    content: dict[str, object] = {MULTIPART: {"schema": form}}
    if of_kinds:
        content[JSON] = {"schema": _JSON_SAMPLE}
    for media_type in (*ONE_SAMPLE, *ZIP, *TAR):
        content |= _binary(media_type)
    content |= _lines(
        'with its group if it has one: {"name": "a.png", "group": "lot 7", "data": "<base64>"}; a '
        "sample that is JSON may be the value of data itself"
    )
    return {"requestBody": {"required": False, "content": content}}


JOB_BODY, CALIBRATION_BODY = _job_body(), _job_body(anomalies=True)
PICTURES_BODY = _job_body(of_kinds=False)
"""How OpenAPI describes what a job's samples come in, those of a detector or images that have none;
``app.intake.spooling`` reads it."""

IMAGES_BODY, IMAGE_BODY = _many(), _body(maxItems=1)
"""How OpenAPI describes a body of images, or of one; routes read it through ``UploadDep``, and take
one sample in a zip file or a line as well."""
