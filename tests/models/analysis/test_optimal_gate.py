"""The optimal gates against numerical minimisation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from models.analysis.optimal_gate import (
    matched_gate,
    readout_error,
    readout_gate,
    restoration_error,
    shrinkage_gate,
    signal_to_noise,
)

seeds = st.integers(0, 2**32 - 1)


def channels(seed: int, *, count: int = 4, negative: bool = True) -> tuple[Tensor, Tensor]:
    """Random means and deviations, float64."""
    rng = np.random.default_rng(seed)
    mu = rng.normal(size=count) if negative else rng.uniform(0.2, 2, size=count)
    return torch.tensor(mu), torch.tensor(rng.uniform(0.3, 2, size=count))


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=25)
@given(seed=seeds)
def test_shrinkage_is_the_least_restoration_error(seed: int) -> None:
    """Reference: scipy.optimize.minimize; in [0, 1] although nothing holds it there."""
    mu, sigma = channels(seed)

    found = minimize(lambda g: float(restoration_error(tensor(g), mu, sigma).sum()), np.ones(4))

    gate = shrinkage_gate(mu, sigma)
    np.testing.assert_allclose(gate.numpy(), found.x, atol=1e-5)
    assert ((gate >= 0) & (gate <= 1)).all()


@settings(max_examples=10)
@given(seed=seeds)
def test_errors_are_those_of_the_model(seed: int) -> None:
    """Reference: means over samples of the model, within five standard errors."""
    torch.manual_seed(seed)
    mu, sigma = channels(seed)
    gate, samples = torch.rand(4, dtype=torch.float64), 20_000
    noise = sigma * torch.randn(samples, 4, dtype=torch.float64)
    strength = torch.randn(samples, dtype=torch.float64)

    each = (gate * (mu + noise) - mu) ** 2
    read = ((gate * (strength[:, None] * mu + noise)).sum(dim=1) - strength) ** 2
    total = (gate * (mu + noise)).sum(dim=1)

    expected = restoration_error(gate, mu, sigma)
    assert ((each.mean(dim=0) - expected).abs() < 5 * each.std(dim=0) / samples**0.5).all()
    assert abs(read.mean() - readout_error(gate, mu, sigma)) < 5 * read.std() / samples**0.5
    assert total.var() == pytest.approx(float(((gate * sigma) ** 2).sum()), rel=0.06)
    ratio = (gate * mu).sum() ** 2 / ((gate * sigma) ** 2).sum()
    assert signal_to_noise(gate, mu, sigma) == pytest.approx(float(ratio))


@settings(max_examples=25)
@given(seed=seeds)
def test_matched_gate_has_the_greatest_ratio(seed: int) -> None:
    """Reference: scipy.optimize.minimize of -log SNR over gates >= 0; means of either sign."""
    mu, sigma = channels(seed)
    mu[0] = mu[0].abs() + 0.1  # one channel at least has something to say

    gate = matched_gate(mu, sigma)
    best = float(signal_to_noise(gate, mu, sigma))

    start = np.where(mu.numpy() > 0, 1.0, 0.01)
    found = minimize(
        lambda g: -float(signal_to_noise(tensor(g), mu, sigma).log()),
        start,
        bounds=[(1e-9, 10.0)] * 4,
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
    )
    assert best == pytest.approx(np.exp(-found.fun), rel=1e-6)
    np.testing.assert_allclose(gate.numpy(), found.x / found.x.max(), atol=2e-3)
    assert gate.max() == 1
    assert (gate[mu <= 0] == 0).all()
    kept = mu > 0
    assert best == pytest.approx(float((mu**2 / sigma**2)[kept].sum()))  # Cauchy and Schwarz


@settings(max_examples=25)
@given(seed=seeds)
def test_readout_gate_has_the_least_error(seed: int) -> None:
    """Reference: scipy.optimize.minimize, weights of either sign."""
    mu, sigma = channels(seed)

    found = minimize(lambda g: float(readout_error(tensor(g), mu, sigma)), np.zeros(4))

    gate = readout_gate(mu, sigma)
    np.testing.assert_allclose(gate.numpy(), found.x, atol=1e-3)
    assert found.fun + 1e-12 >= float(readout_error(gate, mu, sigma)) >= found.fun - 1e-6


@given(seed=seeds, count=st.integers(1, 6))
def test_the_readout_gate_is_the_matched_one_shrunk(seed: int, count: int) -> None:
    """Law: proportional to mu / sigma^2; keeps S / (1 + S); of one channel, the first over mu."""
    mu, sigma = channels(seed, count=count, negative=False)
    total = (mu**2 / sigma**2).sum()

    gate = readout_gate(mu, sigma)

    torch.testing.assert_close(gate / gate.max(), matched_gate(mu, sigma))
    torch.testing.assert_close((gate * mu).sum(), total / (1 + total))
    torch.testing.assert_close(signal_to_noise(gate, mu, sigma), total)
    one = torch.stack([readout_gate(m[None], s[None])[0] for m, s in zip(mu, sigma, strict=True)])
    torch.testing.assert_close(one * mu, shrinkage_gate(mu, sigma))


def test_more_noise_shuts_a_gate_and_none_opens_it() -> None:
    """Law: both gates fall as the noise of a channel grows."""
    mu, sigma = torch.ones(5), torch.tensor([0.01, 0.5, 1.0, 2.0, 100.0])

    for gate in (shrinkage_gate(mu, sigma), matched_gate(mu, sigma)):
        assert (gate.diff() < 0).all()
        assert gate[0] > 0.99
        assert gate[-1] < 1e-3


def test_impossible_channels_are_refused() -> None:
    """Contract: errors say what was given."""
    with pytest.raises(ValueError, match=r"deviations must be positive, got \[1.0, 0.0\]"):
        shrinkage_gate(torch.ones(2), torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"one mean must be positive, got \[-1.0, 0.0\]"):
        matched_gate(torch.tensor([-1.0, 0.0]), torch.ones(2))
    with pytest.raises(ValueError, match="deviations"):
        readout_gate(torch.ones(1), -torch.ones(1))
