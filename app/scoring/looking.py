"""How a detector looks at images: the size they are made, and what of them counts."""

from app.images.masks import Mask
from app.scoring.ingest import Look
from detector.detector import Detector
from detector.errors import MaskMismatchError


def look_of(detector: Detector, mask: Mask | None, *, fitting: bool = False) -> Look:
    """Return how a detector looks at images that came with this mask.

    Raises:
        MaskMismatchError: if a mask was sent and the detector takes none, or the reverse.
    """
    spec = detector.spec
    if (spec.mask == "request") != (mask is not None):
        raise MaskMismatchError(
            f"detector {spec.name!r} was created with mask {spec.mask!r}: "
            + ("send a mask with the images" if spec.mask == "request" else "send no mask")
        )
    over = detector.mask if mask is None else mask
    return Look(spec.image_size, over, mirrored=fitting and spec.options.flips)


def same(look: Look) -> tuple[object, ...]:
    """Return what two looks have in common exactly if they show the backbone the same."""
    mask = None if look.mask is None else (look.mask.shape, look.mask.tobytes())
    return look.side_px, mask, look.mirrored
