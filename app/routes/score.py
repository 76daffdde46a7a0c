"""Score images."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.dependencies import IMAGES_BODY, ImagesDep, ScoreAnswer, ServiceDep
from app.errors import (
    ImageTooLargeError,
    InferenceError,
    MalformedUploadError,
    NoImagesError,
    OverloadedError,
    TooManyImagesError,
    UndecodableImageError,
    UnknownDetectorError,
    UnsupportedImageError,
    UnsupportedMediaTypeError,
)
from app.problems import docs
from app.schemas import DetectorName, Scores
from detector.errors import FingerprintMismatchError, NotFittedError

router = APIRouter(prefix="/v1/detectors/{name}", tags=["score"])


@router.post(
    "/score",
    responses=docs(
        UnknownDetectorError,
        NotFittedError,
        FingerprintMismatchError,
        MalformedUploadError,
        NoImagesError,
        TooManyImagesError,
        UnsupportedMediaTypeError,
        UndecodableImageError,
        UnsupportedImageError,
        ImageTooLargeError,
        OverloadedError,
        InferenceError,
        body=True,
    ),
    openapi_extra=IMAGES_BODY,
)
async def score(
    name: DetectorName,
    images: ImagesDep,
    service: ServiceDep,
    answer: Annotated[ScoreAnswer, Depends()],
) -> Scores:
    """Score one image (raw body) or many (multipart); in a form a bad image fails alone."""
    return Scores.of(answer.of(await service.score(name, images)))
