"""Descriptors: which numbers of an embedding become rows, and how wide ones are made narrow."""

import numpy as np
import pytest
from embedding_helpers import select, synthetic
from scipy.special import logit

from detector import projection
from detector.descriptors import DESCRIPTORS, IMAGE_LEVEL, rows
from detector.errors import InvalidSpecError
from detector.options import Options

WIDTHS = {"first": 3, "second": 5}
PLAIN = Options()
SIGNS = [1, 1, 1, 1, 1, 1, -1, 1]
PICKED = [0, 2, 4, 7, 8, 10, 14, 17]
"""What the seeds drew when the first detector was saved; another draw would not fit its file."""


def test_each_descriptor_takes_what_its_table_says() -> None:
    """Reference: the docstring's table, written out; the logit is SciPy's, to float32."""
    embedding = synthetic(0, 4, WIDTHS)

    for block, c in WIDTHS.items():
        gate = embedding.gate[block]
        mean, std, maximum = (getattr(embedding, p)[block] for p in ("mean", "std", "maximum"))
        stats = rows(embedding, "squeeze_stats", PLAIN)[block]
        logits = rows(embedding, "gate_logit", PLAIN)[block]
        np.testing.assert_allclose(logits, logit(gate.astype(np.float64)), rtol=1e-6)
        np.testing.assert_array_equal(rows(embedding, "gate", PLAIN)[block], gate)
        np.testing.assert_array_equal(rows(embedding, "squeeze", PLAIN)[block], mean)
        assert stats.shape == (4, 3 * c)
        np.testing.assert_array_equal(stats[:, :c], mean)
        np.testing.assert_array_equal(stats[:, c : 2 * c], std)
        np.testing.assert_array_equal(stats[:, 2 * c :], maximum)
    regional = rows(embedding, "regional", PLAIN)
    assert list(regional) == ["regional"]
    np.testing.assert_array_equal(regional["regional"], embedding.regional["second"])


def test_gates_at_their_ends_have_a_finite_logit() -> None:
    """Contract: hard sigmoids reach 0 and 1; they are kept off by 1e-6, alike on both sides."""
    embedding = synthetic(0, 2, {"a": 2})
    embedding.gate["a"][:] = [[0.0, 1.0], [0.5, 1e-9]]

    found = rows(embedding, "gate_logit", PLAIN)["a"]

    least = np.float32(logit(1e-6))
    np.testing.assert_allclose(found, [[least, -least], [0.0, least]], rtol=1e-6)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_descriptor_keeps_images_order_and_type(name: str) -> None:
    """Contract: blocks in order, one float32 row per image, or per cell of each."""
    found = rows(synthetic(1, 6, WIDTHS), name, PLAIN)

    assert list(found) == (list(WIDTHS) if name in IMAGE_LEVEL else ["regional"])
    assert {len(part) for part in found.values()} == {6}
    assert {part.dtype for part in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("normalise", ["none", "l2"])
@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_descriptor_works_row_by_row(name: str, normalise: str) -> None:
    """Law: the rows of chosen images are the chosen rows, narrowed ones too."""
    options = Options(normalise=normalise)  # type: ignore[arg-type]
    embedding, chosen = synthetic(2, 6, {"first": 3, "wide": 600}), [4, 0, 4]

    found = rows(select(embedding, chosen), name, options)

    for block, part in rows(embedding, name, options).items():
        np.testing.assert_allclose(found[block], part[chosen], rtol=1e-7, atol=1e-7)


def test_l2_rows_have_unit_length_and_zero_stays_zero() -> None:
    """Reference: numpy norm of the plain rows."""
    embedding = synthetic(3, 5, WIDTHS)
    embedding.mean["first"][2] = 0

    for block in WIDTHS:
        plain = rows(embedding, "squeeze", PLAIN)[block]
        found = rows(embedding, "squeeze", Options(normalise="l2"))[block]
        length = np.linalg.norm(plain, axis=1, keepdims=True)
        np.testing.assert_allclose(found * length, plain, rtol=1e-5, atol=1e-6)
        assert np.isfinite(found).all()


def test_chosen_blocks_come_in_the_order_in_which_they_run() -> None:
    """Contract: a choice leaves out blocks; one that does not exist is named with those that do."""
    embedding = synthetic(0, 3, {"a": 2, "b": 2, "c": 2})

    assert list(rows(embedding, "gate", Options(blocks=("c", "a")))) == ["a", "c"]
    for name, there in (("gate", "a, b, c"), ("regional", "c")):
        with pytest.raises(InvalidSpecError, match=rf"no block\(s\) x, z; there is: {there}$"):
            rows(embedding, name, Options(blocks=("z", "x", "c")))


def test_projection_keeps_squared_lengths_on_average() -> None:
    """Law: over 500 random rows of 1000 channels, within four standard errors; narrow ones stay."""
    wide = np.random.default_rng(0).normal(size=(500, 1000)).astype(np.float32)

    found = projection.project(wide)

    ratio = np.sum(found**2, axis=1) / np.sum(wide**2, axis=1)
    assert found.shape == (500, projection.MAX_WIDTH)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert ratio.std() < 3 * np.sqrt(2 / projection.MAX_WIDTH)
    np.testing.assert_array_equal(projection.project(wide[:, :512]), wide[:, :512])


def test_projection_is_linear_and_the_same_in_every_process() -> None:
    """Law: f(a + b) = f(a) + f(b); drawn anew it is the same map: the one of these signs."""
    a, b = np.random.default_rng(1).normal(size=(2, 3, 700)).astype(np.float32)
    first = projection.project(a)
    projection._signs.cache_clear()

    np.testing.assert_array_equal(projection.project(a), first)
    np.testing.assert_allclose(projection.project(a + b), first + projection.project(b), atol=1e-4)
    unit = np.eye(1, 700, dtype=np.float32)
    signs = np.sign(projection.project(unit))[0, :8].astype(int).tolist()
    assert signs == SIGNS
    np.testing.assert_allclose(np.abs(projection.project(unit)), 1 / np.sqrt(512), rtol=1e-6)


def test_picked_channels_are_fixed_different_and_in_order() -> None:
    """Contract: 96 of the channels as they are; the same in every process; narrow ones stay."""
    index = np.arange(256, dtype=np.float32)
    cells = np.broadcast_to(index, (2, 3, 256))

    found = projection.pick(cells)
    projection._chosen.cache_clear()

    assert found.shape == (2, 3, projection.REGIONAL_WIDTH)
    np.testing.assert_array_equal(projection.pick(cells), found)
    assert (np.diff(found, axis=2) > 0).all()
    assert found[0, 0, :8].astype(int).tolist() == PICKED
    np.testing.assert_array_equal(projection.pick(cells[:, :, :96]), cells[:, :, :96])
