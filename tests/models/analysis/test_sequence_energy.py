"""A gate scales a channel's amplitude by g_c and its energy by g_c^2, at every frequency."""

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import settings as at_most
from hypothesis import strategies as st
from torch import Tensor

from models.analysis.sequence_energy import (
    channel_amplitude,
    channel_energy,
    gated_amplitude,
    gated_energy,
)
from models.families.sequence import SequenceEncoder, padded
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped


def block_and_sequences(gain: float = 1.0) -> tuple[SqueezeExcite, Tensor, Tensor, Tensor]:
    """A block, sequences, the weights of their places, and the block's gates; float64."""
    block = SqueezeExcite(5, 2, gain=gain).double().requires_grad_(requires_grad=False)
    x, weights = torch.randn(3, 5, 16).double(), padded(3, 16, 9)[1].double()
    return block, x, weights, block.excite(block.squeeze(x, weights))


@given(seed=st.integers(0, 2**32 - 1), gain=st.sampled_from([1.0, 2.0, -0.5]))
@at_most(max_examples=25)
def test_block_scales_amplitude_by_the_gate_and_energy_by_its_square(
    seed: int, gain: float
) -> None:
    """Law: to rounding, 1e-12, padding left out."""
    torch.manual_seed(seed)
    block, x, weights, gate = block_and_sequences(gain)

    y = block(x, weights)

    torch.testing.assert_close(
        channel_amplitude(y, weights),
        gated_amplitude(channel_amplitude(x, weights), gate, gain),
        rtol=1e-12,
        atol=1e-14,
    )
    torch.testing.assert_close(
        channel_energy(y, weights),
        gated_energy(channel_energy(x, weights), gate, gain),
        rtol=1e-12,
        atol=1e-14,
    )


def test_energy_and_amplitude_are_those_of_numpy() -> None:
    """Reference: numpy's norm of the places that count."""
    torch.manual_seed(0)
    _, x, weights, _ = block_and_sequences()

    for sample, length in enumerate(weights.sum(dim=1).int().tolist()):
        norms = np.linalg.norm(x[sample, :, :length].numpy(), axis=1)
        np.testing.assert_allclose(channel_amplitude(x, weights)[sample], norms, rtol=1e-12)
        np.testing.assert_allclose(channel_energy(x, weights)[sample], norms**2, rtol=1e-12)
    np.testing.assert_allclose(channel_energy(x), (x**2).sum(dim=2), rtol=1e-12)


def test_no_frequency_is_added_or_favoured() -> None:
    """Reference: SciPy's power spectrum behind the block is g_c^2 times that before it."""
    torch.manual_seed(0)
    block, x, _, _ = block_and_sequences()
    gate = block.excite(block.squeeze(x))

    before, after = (scipy.signal.periodogram(z.numpy(), detrend=False)[1] for z in (x, block(x)))

    np.testing.assert_allclose(after, (gate[:, :, None] ** 2).numpy() * before, rtol=1e-9)


def test_in_the_encoder_the_gates_that_taps_read_are_the_factors() -> None:
    """Law: on the hidden channels of a whole network; float32, 1e-4."""
    torch.manual_seed(0)
    network = SequenceEncoder(32, 2, width=16, hidden=24, longest=20, reduction=4).eval()
    tokens, weights = padded(4, 12, 32)
    block = network.layers[1].feed_forward.gate
    energies: dict[str, Tensor] = {}

    def keep(_block: object, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        energies["before"], energies["after"] = (
            channel_energy(z, weights) for z in (inputs[0], output)
        )

    block.register_forward_hook(keep)
    with torch.inference_mode():
        gate = Tapped(network)(tokens, weights).blocks["layers.1.feed_forward"].gate

    expected = gated_energy(energies["before"], gate)
    torch.testing.assert_close(energies["after"], expected, rtol=1e-4, atol=1e-6)
    assert bool((energies["after"] <= energies["before"]).all())


def test_energy_does_not_scale_by_the_gate_itself() -> None:
    """Law: it is the amplitude that scales by g_c; the energy would be off by a factor 1 / g_c."""
    torch.manual_seed(0)
    block, x, weights, gate = block_and_sequences()

    ratio = channel_energy(block(x, weights), weights) / channel_energy(x, weights)

    assert ratio.numpy() == pytest.approx((gate**2).numpy(), rel=1e-12)
    assert bool(((ratio - gate).abs() > 0.05).all())
