"""Which looks at an image are one: the same size, and a mask of the same values."""

import numpy as np
import pytest

from app.scoring.arriving import Look
from app.scoring.looking import look_of, same
from detector.detector import Detector
from detector.errors import MaskMismatchError
from detector.spec import Spec

MASK = np.full((4, 6), 255, np.uint8)
OTHERS = [
    Look(64),
    Look(128, MASK),
    Look(64, MASK.reshape(6, 4)),
    Look(64, MASK - np.eye(4, 6, dtype=np.uint8)),
    Look(64, MASK, mirrored=True),
]


def test_a_copy_of_a_mask_is_the_same_mask() -> None:
    """Contract: by value; any other size, shape, value or absence is another look."""
    assert same(Look(64, MASK)) == same(Look(64, MASK.copy()))
    seen = [same(look) for look in (Look(64, MASK), *OTHERS)]
    assert len(set(seen)) == len(seen)


def test_a_mask_comes_from_the_detector_or_with_the_images() -> None:
    """Contract: never from both, and never from none if the detector waits for one."""
    plain = Detector(Spec("plain", "b", "f", image_size=64))
    fixed = Detector(Spec("fixed", "b", "f", image_size=64, mask="fixed"), MASK)
    asking = Detector(Spec("asking", "b", "f", image_size=64, mask="request"))
    assert same(look_of(plain, None)) == same(Look(64))
    assert same(look_of(fixed, None)) == same(look_of(asking, MASK)) == same(Look(64, MASK))
    for detector, mask in ((plain, MASK), (fixed, MASK), (asking, None)):
        with pytest.raises(MaskMismatchError):
            look_of(detector, mask)
