"""The gate before and after the ReLU: equal outputs and ratios, unequal squeezes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor

from models.analysis.relu_gate import (
    gate_after,
    gate_before,
    rectified_mean,
    rectified_signal_to_noise,
    signal_to_noise,
)
from models.squeeze_excite import SqueezeExcite

seeds = st.integers(0, 2**32 - 1)
normals = st.tuples(st.floats(-4, 4), st.floats(0.05, 4))


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(seed=seeds, zero=st.booleans())
def test_both_orders_give_the_same(seed: int, zero: bool) -> None:
    """Law: positive homogeneity, for gates >= 0, 0 too."""
    torch.manual_seed(seed)
    x = torch.randn(3, 5, 4, 2, dtype=torch.float64)
    gate = torch.rand(3, 5, 1, 1, dtype=torch.float64)
    if zero:
        gate[1, 2] = 0

    torch.testing.assert_close(gate_before(x, gate), gate_after(x, gate), rtol=1e-12, atol=0)
    torch.testing.assert_close(gate_after(x, gate), gate * x.clamp_min(0), rtol=0, atol=0)


def test_for_a_negative_gate_they_differ() -> None:
    """Law: homogeneity is positive only, so a tanh for a gate would tell the orders apart."""
    x = torch.tensor([[[-1.0, 2.0]]])
    gate = torch.tensor([[[-0.5]]])

    assert gate_before(x, gate).tolist() == [[[0.5, 0.0]]]
    assert gate_after(x, gate).tolist() == [[[0.0, -1.0]]]


@given(seed=seeds)
def test_ratios_are_equal_and_those_without_a_gate(seed: int) -> None:
    """Law: mean^2 / variance of each channel; one gate for a channel cancels in it."""
    torch.manual_seed(seed)
    x = torch.randn(6, 5, 4, 3, dtype=torch.float64) + torch.rand(5, 1, 1, dtype=torch.float64)
    gate = torch.rand(1, 5, 1, 1, dtype=torch.float64) + 0.01

    before, after = (signal_to_noise(order(x, gate)) for order in (gate_before, gate_after))

    torch.testing.assert_close(before, after, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(after, signal_to_noise(x.clamp_min(0)), rtol=1e-10, atol=1e-12)


def test_ratio_equals_numpy() -> None:
    """Reference: numpy's mean and variance, channel by channel."""
    x = torch.randn(4, 3, 5, 2, dtype=torch.float64) + 1

    expected = [channel.mean() ** 2 / channel.var() for channel in x.transpose(0, 1).numpy()]

    np.testing.assert_allclose(signal_to_noise(x).numpy(), expected, rtol=1e-12)


@settings(max_examples=30)
@given(normal=normals)
def test_moments_behind_the_relu_equal_integrals(normal: tuple[float, float]) -> None:
    """Reference: scipy's quadrature of max(x, 0) and its square under the normal density."""
    mean, deviation = normal
    top = max(mean, 0) + 12 * deviation
    middle = [point for point in (mean,) if 0 < point < top]
    first, second = (
        quad(
            lambda x, k=k: x**k * norm.pdf(x, mean, deviation),
            0,
            top,
            points=middle or None,
            epsabs=0,
            epsrel=1e-10,
            limit=200,
        )[0]
        for k in (1, 2)
    )

    m, s = tensor(mean), tensor(deviation)
    # Far below zero the formula is a difference of nearly equal numbers.
    assert rectified_mean(m, s).item() == pytest.approx(first, rel=1e-6, abs=1e-12 * deviation)
    if mean > -3 * deviation:
        assert rectified_signal_to_noise(m, s).item() == pytest.approx(
            first**2 / (second - first**2), rel=1e-6
        )


def test_moments_equal_those_of_samples() -> None:
    """Reference: a million samples through the gate and the ReLU."""
    torch.manual_seed(0)
    mean, deviation = tensor(-1.0, 0.0, 2.0), tensor(0.7, 1.5, 1.0)
    x = mean + deviation * torch.randn(1_000_000, 3, dtype=torch.float64)
    gate = tensor(0.1, 0.5, 0.9)[None]

    squeeze = gate_after(x, gate).mean(dim=0)

    torch.testing.assert_close(
        squeeze, gate[0] * rectified_mean(mean, deviation), rtol=0.01, atol=0
    )
    torch.testing.assert_close(
        signal_to_noise(gate_before(x, gate)),
        rectified_signal_to_noise(mean, deviation),
        rtol=0.02,
        atol=0,
    )


@given(normal=normals)
def test_the_squeeze_behind_is_never_below(normal: tuple[float, float]) -> None:
    """Law: Jensen: E relu(x) >= max(m, 0), and near it far from zero."""
    mean, deviation = normal

    behind = rectified_mean(tensor(mean), tensor(deviation)).item()

    assert behind >= max(mean, 0.0) - 1e-12
    assert behind <= max(mean, 0.0) + deviation * 0.4  # 1 / sqrt(2 pi) at most


def test_squeezes_tell_different_things() -> None:
    """Law: spread shows behind the ReLU only, depth below zero before it only."""
    torch.manual_seed(1)
    noise = torch.randn(1, 2, 200, 200, dtype=torch.float64)
    noise = (noise - noise.mean(dim=(2, 3), keepdim=True)) / noise.std(dim=(2, 3), keepdim=True)
    same_mean = noise * tensor(0.5, 3.0)[:, None, None]
    deep = 0.1 * noise + tensor(-5.0, -50.0)[:, None, None]

    assert same_mean.mean(dim=(2, 3)).abs().max() < 1e-12
    torch.testing.assert_close(
        torch.relu(same_mean).mean(dim=(2, 3))[0],
        tensor(0.5, 3.0) / (2 * torch.pi) ** 0.5,
        rtol=0.02,
        atol=0,
    )
    assert torch.relu(deep).abs().max() == 0


def test_with_the_same_weights_the_gates_differ() -> None:
    """Law: relu(SE(x)) is not SE(relu(x)): the squeeze, and with it the gate, is another."""
    torch.manual_seed(2)
    block = SqueezeExcite(6, 2).double()
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)

    before, after = (block.excite(block.squeeze(y)) for y in (x, x.clamp_min(0)))

    assert (before - after).abs().max() > 0.01
    shared = before[:, :, None, None]
    torch.testing.assert_close(torch.relu(block(x)), gate_after(x, shared))
    assert not torch.allclose(torch.relu(block(x)), block(x.clamp_min(0)), rtol=1e-3)


def test_constant_channels() -> None:
    """Contract: constant is an infinite ratio, all 0 is none, and no deviation is refused."""
    x = torch.stack([torch.ones(4), torch.zeros(4)], dim=1)

    infinite, none = signal_to_noise(x)

    assert infinite == torch.inf
    assert none.isnan()
    with pytest.raises(ValueError, match=r"deviations must be positive, got \[0.0\]"):
        rectified_mean(tensor(1.0), tensor(0.0))
