"""The images of a V2 request: JSON with one tensor of base64 strings, read off the event loop."""

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from app.errors import (
    InvalidTensorError,
    TooManyImagesError,
    UnsupportedMediaTypeError,
)
from app.images.documents import check_size, checked
from app.images.sources import JSON, Upload, from_bytes, media_type, whole_body
from app.schemas.v2 import InferParameters, InferRequest

BINARY = "inference-header-content-length"
"""The header by which a client says that tensors follow the JSON as they are in memory."""


@dataclass(frozen=True, slots=True)
class Inference:
    """What a V2 client asks: the id it gave, and the images, outputs and ways for ``infer``."""

    id: str | None
    how: Mapping[str, Any]


async def body_of(request: Request) -> bytes:
    """Return a request's JSON, not yet parsed.

    Raises:
        UnsupportedMediaTypeError: if it is announced as something else, or as binary tensors.
        MalformedUploadError: if it ends early.
    """
    sent = media_type(request)
    if BINARY in request.headers or sent not in ("", JSON):
        raise UnsupportedMediaTypeError(
            f"send {JSON}, images as base64 strings of datatype BYTES; the binary tensor data "
            "extension is not supported (tritonclient: set_data_from_numpy(..., binary_data=False))"
        )
    return await whole_body(request)


def parse(body: bytes, max_images: int, deadline_s: float = math.inf) -> Inference:
    """Return what is asked; takes some time for many images.

    Raises:
        RequestValidationError: if the body is not as described.
        InvalidTensorError: if shape and data do not fit, or an image is no base64.
        InvalidGroupError: if the group is not one.
        TooManyImagesError: if there are more than ``max_images``.
    """
    check_size(body, max_images)
    asked = checked(InferRequest, body)
    (tensor,) = asked.inputs
    count = len(tensor.data)
    if tensor.shape not in ([count], [count, 1]):
        raise InvalidTensorError(
            f"{count} string(s) in data, but shape {tensor.shape}: give shape [{count}]"
        )
    if count > max_images:
        raise TooManyImagesError(f"at most {max_images} images in one request")
    images = [from_bytes("", _bytes(index, text)) for index, text in enumerate(tensor.data)]
    outputs = [output.name for output in asked.outputs or ()]
    how = {"upload": Upload(images, deadline_s=deadline_s), "outputs": outputs}
    return Inference(asked.id, how | dict(asked.parameters or InferParameters()))


def _bytes(index: int, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTensorError(f"image {index} (the first is 0) is no base64: {error}") from error
