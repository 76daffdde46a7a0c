"""The Squeeze-and-Excitation block against its formula."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from numpy.typing import NDArray

from models.squeeze_excite import Excitation, SqueezeExcite

Floats = NDArray[np.float64]


def naive(block: SqueezeExcite, x: Floats) -> tuple[Floats, Floats]:
    """The gates and the output, from the formula in the module's docstring, one value at a time."""
    w = {name: value.numpy() for name, value in block.excite.state_dict().items()}
    gates, y = np.empty(x.shape[:2]), np.empty_like(x)
    for b, image in enumerate(x):
        s = np.array([sum(plane.ravel()) / plane.size for plane in image])
        z = [(s[c] - w["mean"][c]) / w["deviation"][c] for c in range(len(s))]
        hidden = [
            max(sum(w["reduce.weight"][k][c] * z[c] for c in range(len(z))) + bias, 0.0)
            for k, bias in enumerate(w["reduce.bias"])
        ]
        for c, bias in enumerate(w["expand.bias"]):
            logit = sum(w["expand.weight"][c][k] * hidden[k] for k in range(len(hidden))) + bias
            gates[b, c] = 1 / (1 + np.exp(-logit))
            y[b, c] = block.gain * gates[b, c] * image[c]
    return gates, y


def random_block(channels: int, reduction: int, gain: float = 1.0) -> SqueezeExcite:
    """A block in float64 whose standardisation is not the default one."""
    excite = Excitation(channels, reduction, standardise=True)
    block = SqueezeExcite(channels, excite=excite, gain=gain).double().requires_grad_(False)
    block.excite.mean.normal_()
    block.excite.deviation.uniform_(0.2, 3)
    return block


@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 9),
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    gain=st.sampled_from([1.0, 2.0, 0.3]),
    data=st.data(),
)
def test_block_equals_naive_twin(
    seed: int, channels: int, sides: tuple[int, int], gain: float, data: st.DataObject
) -> None:
    """Reference: the formula in plain Python; float64, rtol 1e-10."""
    torch.manual_seed(seed)
    block = random_block(channels, data.draw(st.integers(1, channels)), gain)
    x = torch.randn(3, channels, *sides, dtype=torch.float64)
    gates, y = naive(block, x.numpy())

    actual = block.excite(block.squeeze(x))

    np.testing.assert_allclose(actual.numpy(), gates, rtol=1e-10)
    np.testing.assert_allclose(block(x).numpy(), y, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("reduction", [1, 4, 16])
def test_identity_is_exact_and_every_gate_a_half(reduction: int) -> None:
    """Law: an identity block returns its very input, bit for bit, and gates 1/2."""
    block = SqueezeExcite.identity(16, reduction)
    x = torch.randn(4, 16, 5, 7) * 100

    assert torch.equal(block(x), x)
    assert torch.equal(block.excite(block.squeeze(x)), torch.full((4, 16), 0.5))


@pytest.mark.parametrize(("channels", "reduction"), [(16, 4), (112, 4), (320, 16), (24, 1)])
def test_matrices_hold_two_c_squared_over_r_weights(channels: int, reduction: int) -> None:
    """Reference: the count of Hu et al., section 4, biases left out."""
    block = SqueezeExcite(channels, reduction)

    matrices = [p.numel() for p in block.parameters() if p.ndim == 2]

    assert sum(matrices) == 2 * channels**2 // reduction
    assert block.excite.reduce.weight.shape == (channels // reduction, channels)


@pytest.mark.parametrize("reduction", [0, -1, 9])
def test_reduction_out_of_range_is_named(reduction: int) -> None:
    """Contract: the error names the range and what was given."""
    with pytest.raises(ValueError, match=rf"reduction must be in 1\.\.8 .* got {reduction}$"):
        SqueezeExcite(8, reduction)
    with pytest.raises(ValueError, match=f"got {reduction}"):
        SqueezeExcite.identity(8, reduction)


@pytest.mark.parametrize("reduction", [1, 8])
def test_reduction_at_either_end_is_accepted(reduction: int) -> None:
    """Contract: 1 and the number of channels are reductions."""
    assert Excitation(8, reduction)(torch.zeros(2, 8)).shape == (2, 8)


def test_gradient_equals_finite_differences() -> None:
    """Reference: torch's gradcheck, through scale and gate, for input and parameters."""
    torch.manual_seed(3)
    block = random_block(4, 2)
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    parameters = {name: p.clone().requires_grad_() for name, p in block.named_parameters()}

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        state = dict(zip(parameters, values, strict=True))
        output: torch.Tensor = torch.func.functional_call(block, state, (x,))
        return output

    assert torch.autograd.gradcheck(run, (x, *parameters.values()))


def test_identity_can_leave_the_identity() -> None:
    """Law: the second map of an identity block has a gradient, so training can begin there."""
    block = SqueezeExcite.identity(8, 2)

    block(torch.randn(4, 8, 3, 3)).square().sum().backward()

    for parameter in (block.excite.expand.weight, block.excite.expand.bias):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_samples_without_places_are_refused() -> None:
    """Contract: the error names the wanted and the given shape."""
    with pytest.raises(ValueError, match=r"\(b, c, \*places\), got \(3, 8\)"):
        SqueezeExcite(8, 2)(torch.zeros(3, 8))


def test_integers_are_refused() -> None:
    """Contract: the block works on floating point alone."""
    with pytest.raises(TypeCheckError):
        SqueezeExcite(8, 2)(torch.zeros(1, 8, 3, 3, dtype=torch.int64))


def test_other_number_of_channels_is_refused() -> None:
    """Contract: the error names the block's channels and the shape it was given."""
    with pytest.raises(ValueError, match=r"\(b, 8, \*places\) .* got \(1, 7, 3, 3\)"):
        SqueezeExcite(8, 2)(torch.zeros(1, 7, 3, 3))
