"""Images as JSON, to be scored: many in one document, or one a line (NDJSON)."""

from typing import Annotated

from pydantic import Field

from app.intake.spool_writer import MAX_NAME
from app.schemas.base import Body
from app.schemas.new_detector import ImageMask, PolygonMask


class SentImage(Body):
    """One image."""

    name: Annotated[str, Field(strict=True, max_length=MAX_NAME)] = ""
    """Of your choice; comes back."""
    data: Annotated[str, Field(strict=True)]
    """An image file, in base64. What is no base64 has an error in its place, like what is no
    image."""


class SentImages(Body):
    """Images, and what counts of them."""

    images: Annotated[list[SentImage], Field(min_length=1)]
    mask: PolygonMask | ImageMask | None = None
    """What counts of every image, for a detector created with mask 'request'."""
