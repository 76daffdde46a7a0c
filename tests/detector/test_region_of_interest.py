"""A mask on real photographs: what it hides has no influence at all on what is judged."""

import numpy as np
import pytest
from embedding_helpers import PARTS, fitted_to
from numpy.typing import NDArray

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import InvalidMaskError
from detector.scorers import SCORERS
from detector.spec import Spec

SIDE_PX = 64
Image = NDArray[np.uint8]


def mask_of(height: int, width: int) -> Image:
    """Return a mask: a soft-edged region in the middle, black around."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 8 : width // 2] = 200
    mask[height // 4, width // 8 : width // 2] = 60
    return mask


def embed(embedder: Embedder, images: list[Image], mask: Image) -> Embedding:
    """Return the embedding of images that share a mask."""
    return embedder.embed([embedder.prepare(image, SIDE_PX, mask) for image in images])


def assert_close(actual: Embedding, expected: Embedding, atol: float) -> None:
    """Compare all but thumbnails, relative to the largest value of the block; NaN as NaN."""
    for part in (*PARTS, "regional"):
        for block, rows in getattr(expected, part).items():
            size = atol * max(1.0, float(np.nanmax(np.abs(rows))))
            np.testing.assert_allclose(getattr(actual, part)[block], rows, rtol=0, atol=size)


@pytest.fixture(scope="module")
def images(texture: list[Image]) -> list[Image]:
    """Four crops of gravel at the network's own size, so that no pixel mixes with another."""
    return [np.ascontiguousarray(image[:SIDE_PX, :SIDE_PX]) for image in texture[:4]]


def test_pixels_under_a_black_mask_have_no_influence(
    embedder: Embedder, images: list[Image]
) -> None:
    """Law: change them wildly: the same embedding to 1e-5, and none of it is without a cell."""
    mask = mask_of(SIDE_PX, SIDE_PX)
    rng = np.random.default_rng(0)
    expected = embed(embedder, images, mask)
    for noise in (
        rng.integers(0, 256, size=(SIDE_PX, SIDE_PX, 3), dtype=np.uint8),
        np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8),
    ):
        wild = [np.where(mask[:, :, None] > 0, image, noise) for image in images]
        assert_close(embed(embedder, wild, mask), expected, 1e-5)

    seen = [np.where(mask[:, :, None] > 0, 255 - image, image) for image in images]
    changed = embed(embedder, seen, mask)
    assert all(np.abs(changed.mean[b] - rows).max() > 1e-3 for b, rows in expected.mean.items())


def test_cells_are_nan_exactly_where_the_mask_is_black(
    embedder: Embedder, images: list[Image]
) -> None:
    """Contract: a cell of 4 x 4 pixels is inside if any of them counts; in every block alike."""
    mask = mask_of(SIDE_PX, SIDE_PX)
    inside = mask.reshape(16, 4, 16, 4).any(axis=(1, 3)).ravel()

    for cells in embed(embedder, images, mask).regional.values():
        np.testing.assert_array_equal(np.isnan(cells[0]).any(axis=1), ~inside)
        np.testing.assert_array_equal(np.isfinite(cells).all(axis=(0, 2)), inside)


@pytest.mark.parametrize("level", [1, 100, 255])
def test_only_the_proportions_of_a_mask_matter(
    embedder: Embedder, images: list[Image], level: int
) -> None:
    """Law: a mask of 0 and 1 says what one of 0 and 255 says."""
    shape = (mask_of(SIDE_PX, SIDE_PX) > 0).astype(np.uint8)

    prepared = embedder.prepare(images[0], SIDE_PX, shape * np.uint8(level))

    np.testing.assert_array_equal(prepared, embedder.prepare(images[0], SIDE_PX, shape))
    assert prepared.shape == (4, SIDE_PX, SIDE_PX)
    assert prepared[3].max() == 255


def test_a_white_mask_is_no_mask(embedder: Embedder, images: list[Image]) -> None:
    """Law: where all counts alike, everything is as without a mask, to 1e-4; of any level."""
    expected = embedder.embed([embedder.prepare(image, SIDE_PX) for image in images])

    for level in (255, 3):
        white = np.full((9, 7), level, np.uint8)  # of any size
        assert_close(embed(embedder, images, white), expected, 1e-4)


def test_a_mask_that_leaves_nothing_is_refused(embedder: Embedder, images: list[Image]) -> None:
    """Contract: black, empty, or too small a spot to survive the resize; white is what counts."""
    spot = np.zeros((4000, 4000), np.uint8)
    spot[5, 5] = 255
    for mask in (np.zeros((8, 8), np.uint8), np.zeros((SIDE_PX, SIDE_PX), np.uint8), spot):
        with pytest.raises(InvalidMaskError, match="leaves nothing of the image"):
            embedder.prepare(images[0], SIDE_PX, mask)


@pytest.fixture(scope="module", params=list(SCORERS))
def masked(request: pytest.FixtureRequest, embedder: Embedder, texture: list[Image]) -> Detector:
    """A detector fitted to gravel inside a mask, one per scorer."""
    mask = mask_of(128, 128)
    spec = Spec("gravel", embedder.name, embedder.fingerprint, request.param, "", SIDE_PX, "fixed")
    return fitted_to(Detector(spec, mask), embed(embedder, texture[:30], mask))


def test_a_defect_counts_inside_the_mask_and_not_outside(
    masked: Detector, embedder: Embedder, texture: list[Image]
) -> None:
    """Contract: of one bright square, every scorer sees it where it counts and only there.

    KL sees the make-up of a picture, which one square may change for the better.
    """
    assert masked.mask is not None

    def with_square(top: int, left: int) -> list[Image]:
        images = [image.copy() for image in texture[30:34]]
        for image in images:
            image[top : top + 16, left : left + 16] = (250, 240, 20)
        return images

    plain, inside, outside = (
        masked.scores(embed(embedder, images, masked.mask))
        for images in (texture[30:34], with_square(40, 30), with_square(100, 100))
    )

    np.testing.assert_allclose(outside, plain, rtol=1e-4)
    if masked.spec.scorer == "kl":
        assert np.abs(inside - plain).min() > 20 * np.abs(outside - plain).max()
    else:
        assert inside.min() > plain.max()


def test_one_lit_pixel_is_enough(masked: Detector, embedder: Embedder, images: list[Image]) -> None:
    """Contract: one cell inside: finite scores, and a map of one cell where there is a map."""
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    mask[20, 20] = 255

    for verdict in masked.judge(embed(embedder, images, mask)):
        assert np.isfinite(verdict.score)
        if verdict.cells is not None:
            assert int(np.isfinite(verdict.cells).sum()) <= 1
