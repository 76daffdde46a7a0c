"""The Transformer encoder with SE: against torch's own layer, and padding that changes nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as at_most
from hypothesis import strategies as st
from torch import Tensor, nn

from models.families.sequence import EncoderLayer, SequenceEncoder, padded, sinusoids
from models.taps import Tapped


def tiny() -> SequenceEncoder:
    return SequenceEncoder(32, 3, width=16, heads=2, hidden=24, longest=40, reduction=4).eval()


@given(seed=st.integers(0, 2**32 - 1), heads=st.sampled_from([1, 2, 4]))
@at_most(max_examples=20)
def test_layer_without_gate_equals_torch(seed: int, heads: int) -> None:
    """Reference: nn.TransformerEncoderLayer with its norms first; where tokens stand, 1e-10."""
    torch.manual_seed(seed)
    ours = EncoderLayer(8, heads, 12, None).double()
    theirs = nn.TransformerEncoderLayer(
        8, heads, 12, dropout=0, batch_first=True, norm_first=True, dtype=torch.float64
    )
    pairs = [
        ("attention_norm", "norm1"),
        ("attention.out", "self_attn.out_proj"),
        ("feed_forward_norm", "norm2"),
        ("feed_forward.expand", "linear1"),
        ("feed_forward.project", "linear2"),
    ]
    for mine, other in pairs:
        theirs.get_submodule(other).load_state_dict(ours.get_submodule(mine).state_dict())
    theirs.self_attn.in_proj_weight.data = ours.attention.project.weight.data
    theirs.self_attn.in_proj_bias.data = ours.attention.project.bias.data
    _, weights = padded(3, 7, 32)
    x = torch.randn(3, 7, 8, dtype=torch.float64)

    with torch.no_grad():
        actual = ours(x, weights.double())
        expected = theirs(x, src_key_padding_mask=weights == 0)

    stands = weights > 0
    torch.testing.assert_close(actual[stands], expected[stands], rtol=1e-10, atol=1e-10)


def test_gate_is_that_of_the_hidden_channels_over_real_tokens() -> None:
    """Reference: a naive feed-forward block, a sequence at a time without its padding."""
    torch.manual_seed(0)
    block = tiny().layers[0].feed_forward.requires_grad_(requires_grad=False)
    x, (_, weights) = torch.randn(4, 9, 16), padded(4, 9, 32)

    y = block(x, weights)

    excite = block.gate.excite
    for sample, length in enumerate(weights.sum(dim=1).int().tolist()):
        hidden = torch.relu(block.expand(x[sample, :length]))
        inner = torch.relu(excite.reduce.weight @ hidden.mean(dim=0) + excite.reduce.bias)
        gate = torch.sigmoid(excite.expand.weight @ inner + excite.expand.bias)
        torch.testing.assert_close(y[sample, :length], block.project(hidden * gate))


@given(seed=st.integers(0, 2**32 - 1), padding=st.integers(1, 20))
@at_most(max_examples=25)
def test_padding_changes_nothing(seed: int, padding: int) -> None:
    """Law: logits and all taps stay with any ids behind the end; 1e-5."""
    torch.manual_seed(seed)
    network = tiny()
    tokens, weights = padded(3, 8, 32)
    longer = torch.cat([tokens, torch.zeros(3, padding, dtype=torch.int64)], dim=1)
    more = torch.cat([weights, torch.zeros(3, padding)], dim=1)
    longer = torch.where(more > 0, longer, torch.randint(0, 32, longer.shape))

    with torch.inference_mode():
        torch.testing.assert_close(
            network(longer, more), network(tokens, weights), rtol=1e-5, atol=1e-5
        )
        tapped = Tapped(network)
        before, after = tapped(tokens, weights).blocks, tapped(longer, more).blocks
    for name, tap in before.items():
        for field in ("gate", "mean", "std", "maximum"):
            torch.testing.assert_close(
                getattr(after[name], field), getattr(tap, field), rtol=1e-5, atol=1e-5
            )


def test_order_of_tokens_matters() -> None:
    """Law: positions are told apart; without them a sequence would be a bag."""
    torch.manual_seed(0)
    network, weights = tiny(), torch.ones(1, 4)
    forwards = network(torch.tensor([[5, 6, 7, 8]]), weights)

    assert not torch.allclose(network(torch.tensor([[8, 7, 6, 5]]), weights), forwards)
    network.positions.zero_()
    bag = network(torch.tensor([[5, 6, 7, 8]]), weights)
    torch.testing.assert_close(network(torch.tensor([[8, 7, 6, 5]]), weights), bag)


def test_positions_are_sines_and_cosines() -> None:
    """Reference: the formula of Vaswani et al., one value at a time."""
    table = sinusoids(50, 6)

    for place in (0, 1, 7, 49):
        for i in range(3):
            angle = torch.tensor(place / 10_000 ** (2 * i / 6))
            torch.testing.assert_close(table[place, 2 * i], angle.sin(), rtol=0, atol=1e-5)
            torch.testing.assert_close(table[place, 2 * i + 1], angle.cos(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "weights", "message"),
    [
        ([[1, 32]], [[1.0, 1.0]], r"ids in 0\.\.31, got 32"),
        ([[1, -2]], [[1.0, 1.0]], r"ids in 0\.\.31, got -2"),
        ([[1, 2], [3, 4]], [[1.0, 1.0], [0.0, 0.0]], "none in sample 1"),
        ([[1, 2]], [[1.0, 0.5]], r"weights must be 0 or 1, got 0\.5"),
        ([[1, 2]], [[1.0]], r"weights must have shape \(1, 2\), got \(1, 1\)"),
        ([1, 2], [1.0, 1.0], r"tokens must have shape \(b, t\).*got \(2,\)"),
        ([[]], [[]], r"t of 1 or more, got \(1, 0\)"),
        ([[1] * 41], [[1.0] * 41], r"at most 40, got \(1, 41\)"),
    ],
)
def test_other_sequences_are_refused(tokens: list, weights: list, message: str) -> None:
    """Contract: what is no batch of sequences is named."""
    with pytest.raises(ValueError, match=message):
        tiny()(torch.tensor(tokens, dtype=torch.int64), torch.tensor(weights))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": 8, "reduction": 9}, r"1\.\.8 \(the channels\), got 9"),
        ({"layers": 0}, "layers must be positive, got 0"),
        ({"width": 10, "heads": 4}, "multiple of 4 heads, got 10"),
        ({"width": 9, "heads": 3}, "even and a multiple of 3 heads, got 9"),
    ],
)
def test_impossible_encoders_are_refused(arguments: dict[str, int], message: str) -> None:
    """Contract: the received value, and what was expected."""
    with pytest.raises(ValueError, match=message):
        SequenceEncoder(32, 2, **arguments)


def test_padding_gets_no_gradient_through_its_ids() -> None:
    """Law: an id that stands in padding alone has no say, hence no gradient."""
    torch.manual_seed(0)
    network = tiny()
    tokens, weights = torch.tensor([[3, 4, 9, 9]]), torch.tensor([[1.0, 1.0, 0.0, 0.0]])

    network(tokens, weights).square().sum().backward()

    gradient: Tensor | None = network.embedding.weight.grad
    assert gradient is not None
    assert bool(gradient[3].any())
    assert not bool(gradient[9].any())
