"""What a client says to create a detector."""

from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, Field

from app.images import masks
from app.schemas.base import Body, DetectorName, WholeNumber
from detector import options
from detector.backbones import BACKBONES
from detector.descriptors import DESCRIPTORS
from detector.kinds import DEFAULT_KIND, KINDS
from detector.scorers import SCORERS
from detector.spec import DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE, MIN_IMAGE_SIZE


class PolygonMask(Body):
    """What counts of every picture: the inside of polygons."""

    polygons: masks.Polygons
    """Corners [x, y] of each, as fractions of the picture's width and height."""


BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class ImageMask(Body):
    """What counts of every picture: the white of an image, laid over it whatever its size."""

    image: Base64Bytes = Field(json_schema_extra={"pattern": BASE64})
    """PNG or another image file, base64."""


View = (
    Annotated[bool, Field(strict=True)] | int | Annotated[float, Field(allow_inf_nan=False)] | str
)
"""A value of how samples are looked at."""


class Options(Body):
    """How rows are made and modelled; docs/ablation.md says what each is worth."""

    normalise: Literal["none", "l2", "zscore"] = "none"
    """Of image-level rows: by their length, or by each channel's fitted standard deviation."""
    blocks: list[str] = Field(default=[], max_length=256)
    """Blocks of the backbone that are looked at; empty for all (GET /v1/info names them)."""
    covariance: Literal["full", "diagonal"] = "full"
    """Of the image-level Gaussian."""
    aligned: bool = Field(default=True, strict=True)
    """Whether each place has its own mean, and every four neighbours their covariance; false for
    parts that lie anyhow."""
    memory: WholeNumber = Field(default=0, ge=0, le=options.MAX_MEMORY)
    """Regional rows kept as nearest-neighbour memory in place of the regional Gaussians."""
    flips: bool = Field(default=False, strict=True)
    """Whether fitting also sees every image mirrored; four times the work."""
    evidence: WholeNumber = Field(default=64, ge=0, le=options.MAX_EVIDENCE)
    """Fitted images whose thumbnails are kept, to show the nearest; 0 for none."""


class NewDetector(Body):
    """What a detector is made of; everything but the name has a default."""

    name: DetectorName
    """Letters, digits, dot, dash and underscore; at most 63."""
    backbone: str = Field(default="", json_schema_extra={"examples": ["", *BACKBONES]})
    """The network that embeds images: the one the service runs, `timm:NAME` included, or empty."""
    kind: str = Field(default=DEFAULT_KIND, json_schema_extra={"enum": [*KINDS]})
    """What its samples are; the network of any but images learns from those that are fitted."""
    view: dict[str, View] = Field(default={}, max_length=32)
    """How samples of other kinds are looked at (GET /v1/info names what can be chosen)."""
    scorer: str = Field(default="", json_schema_extra={"enum": ["", *SCORERS]})
    """How the distance from normal is measured; empty for the kind's own, of images fusion."""
    descriptor: str = Field(default="", json_schema_extra={"enum": ["", *DESCRIPTORS]})
    """What of the network is looked at; empty for the scorer's own."""
    image_size: int = Field(default=DEFAULT_IMAGE_SIZE, ge=MIN_IMAGE_SIZE, le=MAX_IMAGE_SIZE)
    """Side of the square, in pixels, to which images are resized."""
    mask: Literal["none", "request"] | PolygonMask | ImageMask = "none"
    """What counts of every picture: all, what a mask sent with each request says, or this mask."""
    options: Options = Options()

    def arguments(self, max_pixels: int) -> dict[str, Any]:
        """Return what ``Service.create`` takes. Raises InvalidMaskError."""
        fixed = None
        if isinstance(self.mask, PolygonMask):
            fixed = masks.from_polygons(self.mask.polygons)
        elif isinstance(self.mask, ImageMask):
            fixed = masks.from_image(self.mask.image, max_pixels=max_pixels)
        return {
            "name": self.name,
            "kind": self.kind,
            "view": self.view,
            "backbone": self.backbone,
            "scorer": self.scorer,
            "descriptor": self.descriptor,
            "image_size": self.image_size,
            "options": options.Options(**self.options.model_dump()),
            "mask": fixed,
            "mask_kind": "fixed" if fixed is not None else self.mask,
        }
