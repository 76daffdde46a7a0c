"""How gates are to be adapted."""

from dataclasses import dataclass

from detector.spec import DEFAULT_IMAGE_SIZE

DEFAULT_IMAGES, MOST_IMAGES = 300, 1000
"""Images that are used, all in memory; training looks at 640 at most."""
MOST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Options:
    """How gates are adapted.

    Attributes:
        size: side in pixels at which old and new gates are judged.
        limit: most images that are used; of more, so many are drawn.
        seed: of draws, training and planted defects.
    """

    size: int = DEFAULT_IMAGE_SIZE
    limit: int = DEFAULT_IMAGES
    seed: int = 0
