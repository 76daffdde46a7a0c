"""Sum against mean squeeze as graphs grow: the formulas against blocks and finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as at_most
from hypothesis import strategies as st
from torch import Tensor

from models.analysis.graph_size import logit_lines, nodes_to_saturate, saturation
from models.excitation import ConvExcitation, Excitation
from models.families.graph import GraphNetwork
from models.pooling import Packing
from models.squeeze_excite import SqueezeExcite
from models.squeezes import Squeeze, SumSqueeze
from models.taps import Tapped


def block_of(squeeze: Squeeze, *, standardise: bool = False) -> SqueezeExcite:
    """A block of 6 channels in float64, standardisation and all."""
    excite = Excitation(6, bottleneck=4, standardise=standardise)
    block = SqueezeExcite(6, squeeze=squeeze, excite=excite).double()
    if standardise:
        block.excite.mean.normal_()
        block.excite.deviation.uniform_(0.5, 2)
    return block.requires_grad_(requires_grad=False)


def gates_at(block: SqueezeExcite, node: Tensor, nodes: int) -> Tensor:
    """The block's gates for a graph of that many nodes, all alike."""
    packing = Packing.of(torch.tensor([nodes]), nodes)
    return block.excite(block.squeeze(node.expand(nodes, -1), packing))[0]


@pytest.mark.parametrize("standardise", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@at_most(max_examples=25)
def test_sum_squeeze_has_the_gates_of_the_lines(seed: int, standardise: bool) -> None:
    """Reference: the block itself, beyond the last change of a unit's sign; 1e-9."""
    torch.manual_seed(seed)
    block, node = block_of(SumSqueeze(), standardise=standardise), torch.randn(6).double()

    lines = logit_lines(block.excite, node)

    for more in (0, 1, 5, 20):
        nodes = math.ceil(lines.beyond) + 1 + more
        if nodes < 500:
            expected = gates_at(block, node, nodes)
            actual = saturation(lines.slope, lines.intercept, nodes).gate
            torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def test_before_the_last_change_of_sign_the_line_does_not_hold() -> None:
    """Law: ``beyond`` is no looser than it must be: just before it some gate is off the line."""
    torch.manual_seed(3)
    block, node = block_of(SumSqueeze()), torch.randn(6).double()
    lines = logit_lines(block.excite, node)
    assert lines.beyond > 0

    def off(nodes: float) -> float:
        logit = block.excite((nodes * node)[None])[0].logit()
        return float((logit - lines.slope * nodes - lines.intercept).abs().amax())

    assert off(lines.beyond * 1.01) < 1e-9
    assert off(lines.beyond * 0.9) > 1e-5


def test_slope_is_what_a_node_adds() -> None:
    """Reference: finite differences of the block's logits between sizes; 1e-8."""
    torch.manual_seed(1)
    block, node = block_of(SumSqueeze()), torch.randn(6).double() / 4
    lines = logit_lines(block.excite, node)
    nodes = math.ceil(lines.beyond) + 1

    rise = gates_at(block, node, nodes + 4).logit() - gates_at(block, node, nodes).logit()

    torch.testing.assert_close(rise / 4, lines.slope, rtol=1e-8, atol=1e-8)


def test_mean_squeeze_forgets_the_size() -> None:
    """Law: the gates of 1, 10 and 1000 nodes are the same."""
    torch.manual_seed(0)
    block, node = block_of(Squeeze()), torch.randn(6).double()

    one = gates_at(block, node, 1)

    for nodes in (10, 1000):
        torch.testing.assert_close(gates_at(block, node, nodes), one, rtol=1e-12, atol=1e-12)


@given(
    slope=st.floats(-2, 2), intercept=st.floats(-5, 5), nodes=st.floats(0, 100, exclude_min=True)
)
def test_gradient_is_that_of_the_gate(slope: float, intercept: float, nodes: float) -> None:
    """Reference: autograd by the intercept; never above exp(-|logit|)."""
    start = torch.tensor(intercept, dtype=torch.float64, requires_grad=True)

    found = saturation(torch.tensor(slope, dtype=torch.float64), start, nodes)

    (expected,) = torch.autograd.grad(found.gate, start)
    torch.testing.assert_close(found.gradient, expected, rtol=1e-6, atol=1e-15)
    gradient = found.gradient.item()
    assert gradient <= math.exp(-abs(slope * nodes + intercept)) * (1 + 1e-12)
    step = saturation(torch.tensor(slope, dtype=torch.float64), start + 1e-6, nodes).gate
    assert (step - found.gate).item() / 1e-6 == pytest.approx(gradient, abs=1e-6)


@given(slope=st.sampled_from([-1.5, -0.2, 0.2, 1.5]), intercept=st.floats(-4, 4))
def test_gradient_shrinks_by_the_slope_with_every_node(slope: float, intercept: float) -> None:
    """Law: far out, one node more takes exp(-|slope|) of it; also where gates round to 1."""
    line = (torch.tensor(value, dtype=torch.float64) for value in (slope, intercept))
    rise, start = line

    before, after = (float(saturation(rise, start, nodes).gradient) for nodes in (200, 201))

    assert 0 < after < before
    assert after / before == pytest.approx(math.exp(-abs(slope)), rel=1e-6)


@given(
    slope=st.floats(0.01, 2).flatmap(lambda size: st.sampled_from([size, -size])),
    intercept=st.floats(-5, 5),
    remaining=st.floats(1e-6, 0.4),
)
def test_from_that_size_on_the_gate_is_saturated(
    slope: float, intercept: float, remaining: float
) -> None:
    """Law: at that size exactly ``remaining`` is left on the slope's side, and less beyond."""
    rise, start = (torch.tensor(value, dtype=torch.float64) for value in (slope, intercept))

    nodes = nodes_to_saturate(slope, intercept, remaining)

    def left(at: float) -> float:
        gate = float(saturation(rise, start, at).gate)
        return 1 - gate if slope > 0 else gate

    assert left(nodes) <= remaining * (1 + 1e-6)
    assert left(nodes + 1) < left(nodes)
    if nodes > 0:
        assert left(nodes) == pytest.approx(remaining, rel=1e-6)


def test_without_a_slope_size_does_not_matter() -> None:
    """Law: a gate that no node moves is saturated at once or never."""
    assert nodes_to_saturate(0.0, 0.3, 0.01) == math.inf
    assert nodes_to_saturate(0.0, -9.0, 0.01) == 0.0


def test_a_network_saturates_as_its_first_block_says() -> None:
    """Reference: the first gates of a graph network, k disjoint copies of a graph as one; 1e-9."""
    torch.manual_seed(0)
    network = GraphNetwork(4, 2, channels=8, layers=2, reduction=2, squeeze="sum").double().eval()
    x, edges = torch.randn(5, 4).double(), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    name, block = "layers.0", network.layers[0].gate
    torch.nn.init.normal_(block.excite.reduce.weight)  # steeper than a new block's
    tapped = Tapped(network)

    with torch.inference_mode():
        mean = tapped(x, edges, torch.tensor([5])).blocks[name].mean[0]
        lines = logit_lines(block.excite, mean)
        for copies in (10, 40, 200):
            many = torch.cat([edges + 5 * copy for copy in range(copies)], dim=1)
            taps = tapped(x.repeat(copies, 1), many, torch.tensor([5 * copies])).blocks
            assert 5 * copies > lines.beyond
            expected = saturation(lines.slope, lines.intercept, 5 * copies)
            torch.testing.assert_close(taps[name].gate[0], expected.gate, rtol=1e-9, atol=1e-12)
    assert float(expected.gradient.max()) < 1e-3


def test_what_the_formulas_do_not_cover_is_refused() -> None:
    """Contract: received and expected."""
    with pytest.raises(ValueError, match=r"shape \(6,\), got \(5,\)"):
        logit_lines(Excitation(6, 2), torch.zeros(5))
    with pytest.raises(ValueError, match="without a context"):
        logit_lines(Excitation(6, 2, context=3), torch.zeros(6))
    with pytest.raises(ValueError, match="two linear maps"):
        logit_lines(ConvExcitation(6, 2), torch.zeros(6))
    with pytest.raises(ValueError, match=r"\(0, 0\.5\), got 0\.5"):
        nodes_to_saturate(1.0, 0.0, 0.5)
