"""Samples as JSON: many in one document, to be scored, or one a line (NDJSON), for jobs too.

Images, and whatever else is a file, come in base64; samples that are JSON by themselves also as the
value that they are.
"""

from typing import Annotated, Any

from pydantic import AliasChoices, Field

from app.intake.spool_writer import MAX_NAME
from app.schemas.base import Body, GroupName
from app.schemas.new_detector import ImageMask, PolygonMask

_MANY = Field(min_length=1, validation_alias=AliasChoices("images", "samples"))


class _Named(Body):
    name: Annotated[str, Field(strict=True, max_length=MAX_NAME)] = ""
    """Of your choice; comes back."""


class SentImage(_Named):
    """One image."""

    data: Annotated[str, Field(strict=True)]
    """An image file, in base64. What is no base64 has an error in its place, like what is no
    image."""


class SentSample(_Named):
    """One sample."""

    data: Annotated[str, Field(strict=True)] | dict[str, Any] | list[Any]
    """A file in base64; or, for a detector whose samples are JSON, an object or an array."""


class ImageLine(SentImage):
    """One image of a job."""

    group: GroupName = ""
    """Its lot, session or camera; empty for the one of the request."""


class SampleLine(SentSample):
    """One sample of a job."""

    group: GroupName = ""
    """Its lot, session or camera; empty for the one of the request."""


class SentImages(Body):
    """Images, and what counts of them."""

    images: Annotated[list[SentImage], _MANY]
    """Also called ``samples``."""
    mask: PolygonMask | ImageMask | None = None
    """What counts of every image, for a detector created with mask 'request'."""


class SentSamples(Body):
    """Samples, and what counts of them if they are images."""

    images: Annotated[list[SentSample], _MANY]
    """The samples, images or others; the member may be called ``samples`` as well."""
    mask: PolygonMask | ImageMask | None = None
    """What counts of every image, for a detector created with mask 'request'."""
