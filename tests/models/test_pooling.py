"""Statistics over the places of a sample: against NumPy, dense, weighted and packed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models import pooling
from models.pooling import Packing
from models.squeezes import Squeeze, StatisticsSqueeze, SumSqueeze

PLACES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


def batch_of(seed: int, places: tuple[int, ...]) -> Tensor:
    """Return a dense float64 batch of three samples with two channels."""
    return torch.from_numpy(np.random.default_rng(seed).normal(1, 2, size=(3, 2, *places)))


@given(seed=st.integers(0, 999), places=PLACES)
def test_weighted_statistics_equal_numpy(seed: int, places: tuple[int, ...]) -> None:
    """Reference: numpy's average with weights, whatever the number of axes; float64."""
    x = batch_of(seed, places)
    rng = np.random.default_rng(seed + 1)
    weights = rng.uniform(0.1, 9, size=(3, *places)) * (rng.random((3, *places)) < 0.7)
    weights[(slice(None), *(0 for _ in places))] = 3
    w = torch.from_numpy(weights)

    mean, std, maximum = pooling.statistics(x, w)

    for b in range(3):
        for c in range(2):
            values = x[b, c].numpy()
            expected = np.average(values, weights=weights[b])
            spread = np.average((values - expected) ** 2, weights=weights[b])
            assert float(mean[b, c]) == pytest.approx(expected, rel=1e-10)
            assert float(std[b, c]) == pytest.approx(np.sqrt(spread), rel=1e-8, abs=1e-10)
            assert float(maximum[b, c]) == values[weights[b] > 0].max()
    torch.testing.assert_close(pooling.mean(x, w), mean)
    torch.testing.assert_close(pooling.total(x, w), mean * w.flatten(1).sum(1, keepdim=True))


@given(seed=st.integers(0, 999), places=PLACES, factor=st.sampled_from([1e-3, 1.0, 255.0]))
def test_equal_weights_are_no_weights(seed: int, places: tuple[int, ...], factor: float) -> None:
    """Law: a mask of ones is the plain squeeze; scaling the mask changes nothing."""
    x = batch_of(seed, places)
    ones = torch.full((3, *places), factor, dtype=torch.float64)

    for squeeze in (Squeeze(), StatisticsSqueeze()):
        torch.testing.assert_close(squeeze(x, ones), squeeze(x), rtol=1e-10, atol=1e-12)


def test_what_weighs_nothing_is_not_seen() -> None:
    """Law: values under zero weights, however large, change nothing."""
    x = batch_of(0, (4, 3))
    weights = torch.ones(3, 4, 3, dtype=torch.float64)
    weights[:, 2:] = 0
    other = torch.where(weights[:, None] > 0, x, torch.full_like(x, 1e6))

    for squeeze in (Squeeze(), SumSqueeze(), StatisticsSqueeze()):
        torch.testing.assert_close(squeeze(x, weights), squeeze(other, weights))
        assert not torch.allclose(squeeze(x), squeeze(other))


def test_where_nothing_counts_the_mean_is_zero() -> None:
    """Contract: a sample of padding alone gives zeros and no NaN; its maximum is -inf."""
    x, weights = batch_of(0, (4,)), torch.zeros(3, 4, dtype=torch.float64)

    mean, std, maximum = pooling.statistics(x, weights)

    assert not mean.any()
    assert not std.any()
    assert bool((maximum == -torch.inf).all())


@given(seed=st.integers(0, 999), sizes=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_packed_statistics_equal_each_sample_alone(seed: int, sizes: list[int]) -> None:
    """Reference: each sample as a dense batch of one; empty samples give zeros."""
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(sum(sizes), 2)))
    packing = Packing.of(torch.tensor(sizes), sum(sizes))

    mean, std, maximum = pooling.statistics(rows, packing)

    torch.testing.assert_close(pooling.total(rows, packing), mean * packing.sizes[:, None])
    for b, part in enumerate(rows.split(sizes)):
        if not len(part):
            assert not mean[b].any()
            continue
        alone = pooling.statistics(part.T[None])
        for actual, expected in zip((mean, std, maximum), alone, strict=True):
            torch.testing.assert_close(actual[b], expected[0])


def test_spread_puts_a_value_at_every_place() -> None:
    """Reference: the sample's value at each of its rows, frames or pixels."""
    gate = torch.arange(6.0).reshape(3, 2)
    packing = Packing.of(torch.tensor([2, 0, 1]), 3)
    by_frame = torch.arange(12.0).reshape(1, 3, 4)

    assert torch.equal(pooling.spread(gate, torch.zeros(3, 2), packing), gate[[0, 0, 2]])
    assert torch.equal(
        pooling.spread(gate, torch.zeros(3, 2, 4, 5)).expand(3, 2, 4, 5)[1, 0],
        torch.full((4, 5), 2.0),
    )
    frames = pooling.spread(by_frame, torch.zeros(1, 3, 4, 2, 2)).expand(1, 3, 4, 2, 2)
    assert torch.equal(frames[0, 1, 2], torch.full((2, 2), 6.0))


def test_mismatched_weights_and_sizes_name_both() -> None:
    """Contract: the errors name the expected and the given shape."""
    x = torch.zeros(3, 2, 4, 5)
    with pytest.raises(ValueError, match=r"must have shape \(3, 4, 5\) .* got \(3, 5, 4\)"):
        pooling.mean(x, torch.ones(3, 5, 4))
    with pytest.raises(ValueError, match=r"\(b, c, \*places\), got \(3, 2\)"):
        pooling.total(x[:, :, 0, 0])
    with pytest.raises(ValueError, match="add up to the 4 rows, got 5"):
        Packing.of(torch.tensor([2, 3]), 4)
    packing = Packing.of(torch.tensor([2, 3]), 5)
    for odd in (torch.zeros(6, 2), torch.zeros(5, 2, 3)):
        for pooled in (pooling.mean, pooling.total, pooling.statistics):
            with pytest.raises(ValueError, match=r"shape \(5, c\), got \("):
                pooled(odd, packing)


def test_where_nothing_varies_the_gradient_is_zero() -> None:
    """Law: a map of one pixel, a graph of one node and a constant channel train without NaN."""
    pixel = torch.randn(2, 3, 1, 1, requires_grad=True)
    node = torch.randn(2, 3, requires_grad=True)
    alone = Packing.of(torch.tensor([1, 1]), 2)
    for x, where in ((pixel, None), (pixel, torch.ones(2, 1, 1)), (node, alone)):
        _, std, _ = pooling.statistics(x, where)
        (gradient,) = torch.autograd.grad(std.sum(), x)
        assert not std.any()
        assert not gradient.any()
