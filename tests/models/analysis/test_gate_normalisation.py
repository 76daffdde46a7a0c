"""SE against batch normalisation: on what the factor of a channel depends, as measured."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.analysis.normalisation import (
    channel_factors,
    company_effect,
    factors_alone,
    rescaling,
    spread_over_examples,
)
from models.squeeze_excite import SqueezeExcite

CHANNELS = 6


def batch(examples: int = 5) -> Tensor:
    """Maps whose level and spread differ from example to example, float64 (b, c, 4, 5)."""
    shape = (examples, CHANNELS, 1, 1)
    noise = torch.randn(examples, CHANNELS, 4, 5, dtype=torch.float64)
    return noise * (0.5 + torch.rand(shape).double()) + 2 * torch.randn(shape).double()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def norm(*, training: bool) -> nn.BatchNorm2d:
    """A normalisation that has seen data and whose gamma and beta are not 1 and 0."""
    module = nn.BatchNorm2d(CHANNELS).double()
    with torch.no_grad():
        module.weight.uniform_(0.5, 2)
        module.bias.normal_()
        module(batch())
    return module.train(training)


def gate() -> SqueezeExcite:
    return SqueezeExcite(CHANNELS, 2, gain=2.0).double()


@pytest.mark.parametrize("make", [gate, lambda: norm(training=True), lambda: norm(training=False)])
def test_all_of_them_are_lines(make: Callable[[], nn.Module]) -> None:
    """Law: each channel of each example is rescaled and shifted, and nothing else."""
    assert rescaling(make(), batch()).residual < 1e-12


def test_a_curve_is_told_from_a_line() -> None:
    """Law: the measure of lines can fail."""
    assert rescaling(nn.ReLU(), batch()).residual > 0.1


def test_se_multiplies_by_the_gate_of_the_example_alone() -> None:
    """Law: factor = gain * gate, no offset, the same alone and in company; each has its own."""
    se, x = gate(), batch()

    lines = rescaling(se, x)

    torch.testing.assert_close(lines.factor, 2.0 * se.excite(se.squeeze(x)), rtol=1e-9, atol=0)
    assert lines.offset.abs().max() < 1e-12
    assert company_effect(se, x) < 1e-12
    assert spread_over_examples(se, x) > 0.01


def test_frozen_normalisation_has_one_factor_for_all() -> None:
    """Law: in evaluation gamma / sqrt(remembered variance + e), whatever the example or company."""
    module, x = norm(training=False), batch()

    lines = rescaling(module, x)

    assert module.running_var is not None
    assert module.running_mean is not None
    factor = module.weight / (module.running_var + module.eps).sqrt()
    offset = module.bias - factor * module.running_mean
    torch.testing.assert_close(lines.factor, factor.expand(5, -1), rtol=1e-9, atol=0)
    torch.testing.assert_close(lines.offset, offset.expand(5, -1), rtol=1e-9, atol=1e-9)
    assert company_effect(module, x) < 1e-12
    assert spread_over_examples(module, x) < 1e-12
    torch.testing.assert_close(channel_factors(module, batch(2)), lines.factor[:2])


def test_training_normalisation_depends_on_company() -> None:
    """Law: in training gamma / sqrt(variance of the batch + e), for all; alone, of the example."""
    module, x = norm(training=True), batch()

    together, alone = channel_factors(module, x), factors_alone(module, x)

    whole = x.transpose(0, 1).flatten(1).var(dim=1, correction=0)
    own = x.flatten(2).var(dim=2, correction=0)
    factor = module.weight / (whole + module.eps).sqrt()
    torch.testing.assert_close(together, factor.expand(5, -1), rtol=1e-9, atol=0)
    torch.testing.assert_close(alone, module.weight / (own + module.eps).sqrt(), rtol=1e-9, atol=0)
    assert spread_over_examples(module, x) < 1e-12
    assert company_effect(module, x) > 0.1


def test_a_frozen_normalisation_merges_into_the_convolution_before_it() -> None:
    """Law: weights times factor and the offset as bias give the same; no such weights exist for SE.

    For SE they would have to be the same for two examples whose gates differ.
    """
    conv, module = nn.Conv2d(3, CHANNELS, 3, bias=False).double(), norm(training=False)
    images = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    lines = rescaling(module, conv(images))
    merged = nn.Conv2d(3, CHANNELS, 3).double()
    merged.load_state_dict(
        {
            "weight": conv.weight.detach() * lines.factor[0][:, None, None, None],
            "bias": lines.offset[0],
        }
    )

    torch.testing.assert_close(merged(images), module(conv(images)), rtol=1e-9, atol=1e-9)
    assert spread_over_examples(gate(), conv(images).detach()) > 0.01


def test_measuring_changes_nothing() -> None:
    """Contract: the statistics that a normalisation remembers are those from before."""
    module = norm(training=True)
    before = {name: value.clone() for name, value in module.state_dict().items()}

    company_effect(module, batch())

    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_constant_channel_shows_no_slope() -> None:
    """Contract: it is refused, not divided by 0."""
    x = batch()
    x[1, 2] = 3.0

    with pytest.raises(ValueError, match="must vary over its places"):
        channel_factors(gate(), x)
