"""Synthetic defects: where they are, that they show, and that a seed repeats them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.synthetic_defects import JUDGED, LEARNT, VISIBLE, Defect, plant

Images = NDArray[np.uint8]
Crops = Callable[[int, int], Images]
KINDS = {**LEARNT, **JUDGED}


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def oblong(photographs: list[Images]) -> Images:
    """A crop that is not square, uint8 (96, 160, 3)."""
    return photographs[0][100:196, 150:310]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_only_the_mask_changes(kind: Defect, oblong: Images) -> None:
    """Law: outside its mask the picture is what it was, to the bit; inside, something shows."""
    before = oblong.copy()
    for seed in range(20):
        out, mask = plant(oblong, {"it": kind}, generator(seed))

        changed = np.any(out != oblong, axis=2)
        assert out.shape == oblong.shape
        assert out.dtype == np.uint8
        assert mask.shape == oblong.shape[:2]
        assert changed.any()
        assert not changed[~mask].any()
        assert mask.mean() < 0.25
    assert np.array_equal(oblong, before)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_seed_repeats_a_defect(kind: Defect, oblong: Images) -> None:
    """Law: the generator's state decides everything."""
    (one, mask), (again, same), (other, _) = (
        plant(oblong, {"it": kind}, generator(seed)) for seed in (3, 3, 4)
    )

    assert np.array_equal(one, again)
    assert np.array_equal(mask, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("level", [0, 127, 255])
def test_flat_and_smallest_images_take_defects(kind: Defect, level: int) -> None:
    """Contract: no size from 16 px up and no grey level is too much for any kind."""
    flat = np.full((16, 17, 3), level, np.uint8)
    for seed in range(10):
        out, mask = plant(flat, {"it": kind}, generator(seed))
        assert np.array_equal(out[~mask], flat[~mask])


def test_mixture_follows_the_formula(oblong: Images) -> None:
    """Reference: image + o (altered - image) where o is above the limit, rounded and clipped."""
    opacity = np.linspace(0, 1, 160)[None] * np.ones((96, 1))
    altered = 300.0 - oblong.astype(np.float64)

    out, mask = plant(oblong, {"it": lambda *_: (altered, opacity)}, generator(0))

    expected = oblong.astype(np.float64)
    for y, x in np.ndindex(*opacity.shape):
        if opacity[y, x] > VISIBLE:
            expected[y, x] += opacity[y, x] * (altered[y, x] - oblong[y, x])
    assert np.array_equal(out, np.clip(np.rint(expected), 0, 255))
    assert np.array_equal(mask, opacity > VISIBLE)
    assert 0 < mask.mean() < 1


def test_every_kind_is_drawn(oblong: Images) -> None:
    """Contract: a kind is chosen at random, and all of them come up."""
    drawn = []

    def named(name: str) -> Defect:
        return lambda image, rng: (drawn.append(name), KINDS[name](image, rng))[1]

    for seed in range(40):
        plant(oblong, {name: named(name) for name in KINDS}, generator(seed))

    assert set(drawn) == set(KINDS)


def test_families_share_nothing() -> None:
    """Contract: what is learnt from is not what is judged by."""
    assert LEARNT
    assert JUDGED
    assert not set(LEARNT) & set(JUDGED)
    assert not set(LEARNT.values()) & set(JUDGED.values())


@pytest.mark.parametrize("shape", [(15, 40, 3), (40, 15, 3)])
def test_too_small_an_image_is_refused(shape: tuple[int, int, int]) -> None:
    """Contract: below 16 px a defect would be the picture."""
    with pytest.raises(ValueError, match="no room for a defect"):
        plant(np.zeros(shape, np.uint8), LEARNT, generator(0))
