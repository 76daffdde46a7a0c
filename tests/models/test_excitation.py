"""The excitation: linear maps and convolutions, context, hard sigmoid, other widths."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from models.excitation import ConvExcitation, Excitation
from models.squeeze_excite import SqueezeExcite
from models.squeezes import StatisticsSqueeze


@given(
    seed=st.integers(0, 999),
    channels=st.integers(2, 12),
    inner=st.sampled_from(["relu", "silu"]),
    gate=st.sampled_from(["sigmoid", "hard_sigmoid"]),
)
def test_convolutions_equal_linear_maps(seed: int, channels: int, inner: str, gate: str) -> None:
    """Law: two 1x1 convolutions with the linear maps' weights give the same gates."""
    torch.manual_seed(seed)
    widths = {"inputs": 3 * channels, "context": 2, "standardise": True}
    linear = Excitation(channels, 2, inner=inner, gate=gate, **widths)  # type: ignore[arg-type]
    convolved = ConvExcitation(channels, 2, inner=inner, gate=gate, **widths)
    linear.mean.normal_()
    convolved.load_state_dict(
        {
            name: value[:, :, None, None] if name.endswith("weight") else value
            for name, value in linear.state_dict().items()
        }
    )
    s, context = torch.randn(5, 3 * channels) * 4, torch.randn(5, 2)

    torch.testing.assert_close(convolved(s, context), linear(s, context))


def test_gates_and_inner_functions_are_those_named() -> None:
    """Reference: torch's own functions around the two maps."""
    s = torch.randn(6, 8) * 9
    for inner, f in (("relu", functional.relu), ("silu", functional.silu)):
        for gate, g in (("sigmoid", functional.sigmoid), ("hard_sigmoid", functional.hardsigmoid)):
            excite = Excitation(8, 2, inner=inner, gate=gate)  # type: ignore[arg-type]
            torch.testing.assert_close(excite(s), g(excite.expand(f(excite.reduce(s)))))


def test_hard_sigmoid_is_relu6_of_x_plus_3_over_6() -> None:
    """Reference: the formula; it reaches 0 and 1, which the sigmoid does not."""
    x = torch.linspace(-5, 5, 101)
    excite = Excitation(1, 1, gate="hard_sigmoid").requires_grad_(False)
    excite.reduce.weight.fill_(1)
    excite.reduce.bias.fill_(5)  # keeps the ReLU open
    excite.expand.weight.fill_(1)
    excite.expand.bias.fill_(-5)

    torch.testing.assert_close(excite(x[:, None])[:, 0], functional.relu6(x + 3) / 6)


def test_context_has_a_say() -> None:
    """Law: [s; z] through one matrix = W_s s + W_z z; another context, other gates."""
    excite = Excitation(8, 2, context=3)
    s, z = torch.randn(4, 8), torch.randn(4, 3)
    by_squeeze, by_context = excite.reduce.weight.split([8, 3], dim=1)
    hidden = s @ by_squeeze.T + z @ by_context.T + excite.reduce.bias

    torch.testing.assert_close(excite(s, z), torch.sigmoid(excite.expand(hidden.relu())))
    assert not torch.allclose(excite(s, z), excite(s, -z))


def test_block_with_context_and_statistics() -> None:
    """Contract: squeeze and excitation are put together by widths."""
    statistics = SqueezeExcite(8, 2, squeeze=StatisticsSqueeze())
    told = SqueezeExcite(8, excite=Excitation(8, 4, context=2))
    x = torch.randn(3, 8, 4, 4, 4)

    assert statistics.excite.reduce.weight.shape == (4, 24)
    assert statistics(x).shape == told(x, context=torch.zeros(3, 2)).shape == x.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 8, "reduction": 9}, r"reduction must be in 1\.\.8 .* got 9"),
        ({"channels": 0, "bottleneck": 1}, "channels must be 1 or more, got 0"),
        ({"channels": 8, "bottleneck": 0}, "bottleneck must be 1 or more, got 0"),
        ({"channels": 8, "reduction": 2, "inputs": -1}, "inputs must be 1 or more, got -1"),
        ({"channels": 8, "reduction": 2, "context": -1}, "context must be 0 or more, got -1"),
    ],
)
def test_impossible_widths_are_named(arguments: dict[str, int], message: str) -> None:
    """Contract: the error names the width and what was given."""
    with pytest.raises(ValueError, match=message):
        Excitation(**arguments)


def test_other_squeezes_and_contexts_are_named() -> None:
    """Contract: the error names the expected and the given shape."""
    plain, told = Excitation(8, 2), Excitation(8, 2, context=3)
    s = torch.zeros(2, 8)
    with pytest.raises(ValueError, match=r"must have shape \(b, 8\), got \(2, 7\)"):
        plain(torch.zeros(2, 7))
    with pytest.raises(ValueError, match=r"a context of shape \(2, 3\), got none"):
        told(s)
    for odd in ((2, 4), (3, 3)):
        with pytest.raises(ValueError, match=r"a context of shape \(2, 3\), got \("):
            told(s, torch.zeros(odd))
    with pytest.raises(ValueError, match=r"takes no context, got \(2, 3\)"):
        plain(s, torch.zeros(2, 3))


def test_gates_must_be_as_many_as_channels() -> None:
    """Contract: one gate would be spread over all channels unnoticed."""
    with pytest.raises(ValueError, match="8 channels need as many gates, got 1"):
        SqueezeExcite(8, excite=Excitation(1, 1, inputs=8))
