"""How a detector looks at images: the size they are made, and what of them counts."""

from app.errors import WrongKindError
from app.images.masks import Mask
from app.scoring.arriving import Look
from detector.detector import Detector
from detector.errors import MaskMismatchError
from detector.kinds import learned_kind
from detector.kinds.learned import Learned


def look_of(
    detector: Detector,
    mask: Mask | None,
    *,
    fitting: bool = False,
    network: Learned | None = None,
) -> Look:
    """Return how a detector looks at images that came with this mask.

    Args:
        detector: that looks.
        mask: that came with the images.
        fitting: whether they are fitted.
        network: the detector's own, if its kind learns one.

    Raises:
        MaskMismatchError: if a mask was sent and the detector takes none, or the reverse.
        WrongKindError: if images are sent to a detector of another kind.
    """
    spec = detector.spec
    if network is None:
        require_images(detector)
    if (spec.mask == "request") != (mask is not None):
        raise MaskMismatchError(
            f"detector {spec.name!r} was created with mask {spec.mask!r}: "
            + ("send a mask with the images" if spec.mask == "request" else "send no mask")
        )
    over = detector.mask if mask is None else mask
    return Look(spec.image_size, over, fitting and spec.options.flips, network)


def require_images(detector: Detector) -> None:
    """Refuse what is done with images alone. Raises WrongKindError."""
    if learned_kind(detector.spec.kind) is not None:
        raise WrongKindError(
            f"detector {detector.spec.name!r} is of kind {detector.spec.kind!r}, and this is for "
            "images: fit it and score with it on its own"
        )


def same(look: Look) -> tuple[object, ...]:
    """Return what two looks have in common exactly if they show the backbone the same."""
    mask = None if look.mask is None else (look.mask.shape, look.mask.tobytes())
    network = None if look.network is None else look.network.fingerprint
    return look.side_px, mask, look.mirrored, network
