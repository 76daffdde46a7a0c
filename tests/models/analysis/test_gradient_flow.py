"""Gates on the branch and on the skip path: Jacobians, their bounds, and measured gradients."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import jacrev

from models.analysis.gradient_flow import (
    GatedBlock,
    Placement,
    gradient_bounds,
    gradient_norms,
    identity_jacobian,
    residual_jacobian,
    skip_factor,
)

PLACEMENTS: tuple[Placement, ...] = ("residual", "identity")
seeds = st.integers(0, 2**32 - 1)
Map = Callable[[Tensor], Tensor]


def random_maps(channels: int) -> tuple[Map, Map]:
    """A branch and a gate, both smooth functions of x, in float64."""
    inner, outer, gating = torch.randn(3, channels, channels, dtype=torch.float64)
    return (lambda x: outer @ torch.tanh(inner @ x)), (lambda x: torch.sigmoid(gating @ x))


@settings(max_examples=25)
@given(seed=seeds, channels=st.integers(1, 6))
def test_jacobians_equal_automatic_differentiation(seed: int, channels: int) -> None:
    """Reference: torch.func.jacrev, with the gate depending on x and with the gate constant."""
    torch.manual_seed(seed)
    branch, gate = random_maps(channels)
    x = torch.randn(channels, dtype=torch.float64)
    g, slope, gate_slope = gate(x), jacrev(branch)(x), jacrev(gate)(x)

    pairs = [
        (residual_jacobian(g, slope, branch(x), gate_slope), lambda x: x + gate(x) * branch(x)),
        (residual_jacobian(g, slope), lambda x: x + g * branch(x)),
        (identity_jacobian(g, slope, x, gate_slope), lambda x: gate(x) * x + branch(x)),
        (identity_jacobian(g, slope), lambda x: g * x + branch(x)),
    ]

    for formula, block in pairs:
        torch.testing.assert_close(formula, jacrev(block)(x), rtol=1e-10, atol=1e-12)


@given(seed=seeds, depth=st.integers(1, 8))
def test_skip_factor_is_the_jacobian_where_the_branch_is_nothing(seed: int, depth: int) -> None:
    """Law: with F = 0 the Jacobian of all blocks is diag(prod g), or the identity."""
    torch.manual_seed(seed)
    gates = torch.rand(depth, 4, dtype=torch.float64)
    nothing = torch.zeros(4, 4, dtype=torch.float64)

    for placement in PLACEMENTS:
        whole = stack([nothing] * depth, gates, placement)
        torch.testing.assert_close(whole, torch.diag(skip_factor(gates, placement)))


def stack(slopes: list[Tensor], gates: Tensor, placement: Placement) -> Tensor:
    """The Jacobian of all blocks, gates held constant."""
    one = residual_jacobian if placement == "residual" else identity_jacobian
    whole = torch.eye(gates.shape[1], dtype=gates.dtype)
    for slope, gate in zip(slopes, gates, strict=True):
        whole = one(gate, slope) @ whole
    return whole


@given(seed=seeds, depth=st.integers(1, 6), strength=st.floats(0.01, 1.0))
def test_singular_values_lie_within_the_bounds(seed: int, depth: int, strength: float) -> None:
    """Law: for random gates and branches of any strength."""
    torch.manual_seed(seed)
    gates = torch.rand(depth, 4, dtype=torch.float64)
    slopes = list(strength * torch.randn(depth, 4, 4, dtype=torch.float64))
    norms = torch.stack([torch.linalg.matrix_norm(slope, 2) for slope in slopes])

    for placement in PLACEMENTS:
        values = torch.linalg.svdvals(stack(slopes, gates, placement))
        least, most = gradient_bounds(gates, norms, placement)
        assert least * (1 - 1e-9) <= values.min()
        assert values.max() <= most * (1 + 1e-9)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_are_reached(placement: Placement, sign: int) -> None:
    """Law: branches that are a multiple of the identity, with equal gates, meet them exactly."""
    gates = torch.full((5, 3), 0.5, dtype=torch.float64)
    slope = sign * 0.2 * torch.eye(3, dtype=torch.float64)

    values = torch.linalg.svdvals(stack([slope] * 5, gates, placement))

    norms = torch.full((5,), 0.2, dtype=torch.float64)
    least, most = gradient_bounds(gates, norms, placement)
    assert values.max().item() == pytest.approx(most if sign > 0 else least)
    assert (least, most) == pytest.approx(
        (0.9**5, 1.1**5) if placement == "residual" else (0.3**5, 0.7**5)
    )


def test_a_branch_stronger_than_the_path_leaves_no_lower_bound() -> None:
    """Law: it may cancel the skip path; the bound is 0 then, not a negative product."""
    gates, norms = torch.full((2, 3), 0.5), torch.full((2,), 3.0)

    assert gradient_bounds(gates, norms, "residual")[0] == 0
    assert gradient_bounds(gates, norms, "identity")[0] == 0


def measured(placement: Placement, *, depth: int, scale: float) -> list[float]:
    """The gradient's norms in a new stack of that depth."""
    torch.manual_seed(0)
    blocks = [GatedBlock(8, placement, scale=scale).double() for _ in range(depth)]
    x, gradient = torch.randn(2, 4, 8, 6, 6, dtype=torch.float64)
    return gradient_norms(blocks, x, gradient)


def test_gates_on_the_skip_path_choke_a_deep_stack() -> None:
    """Law: in 40 blocks with SE gates of about 1/2 the gradient falls as 2^-40; on the branch, not.

    Measured through the whole block, so with gates that depend on x.
    """
    choked = measured("identity", depth=40, scale=0.02)
    kept = measured("residual", depth=40, scale=0.02)

    assert 0.4 < (choked[0] / choked[-1]) ** (1 / 40) < 0.6
    assert choked[0] < 1e-9 * choked[-1]
    assert all(before < after for before, after in pairwise(choked))
    assert 0.8 < kept[0] / kept[-1] < 1.25


def test_strong_branches_carry_the_gradient_past_a_gated_skip_path() -> None:
    """Law: the choking is of the skip path; large weights may still carry the gradient."""
    assert (
        measured("identity", depth=40, scale=2.0)[0]
        > 1e3 * (measured("identity", depth=40, scale=0.02)[0])
    )


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_norms_equal_those_of_the_jacobian(placement: Placement) -> None:
    """Reference: torch.func.jacrev through the whole stack, one level after another."""
    torch.manual_seed(1)
    blocks = [GatedBlock(2, placement, scale=0.7, reduction=1).double() for _ in range(3)]
    x, gradient = torch.randn(2, 1, 2, 3, 2, dtype=torch.float64)

    norms = gradient_norms(blocks, x, gradient)

    for level, norm in enumerate(norms):
        rest = torch.nn.Sequential(*blocks[level:])
        whole = jacrev(rest)(x).detach().reshape(12, 12)
        assert norm == pytest.approx(float((gradient.flatten() @ whole).norm()), rel=1e-9)
        x = blocks[level](x).detach() if level < len(blocks) else x


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_block_equals_its_formula(placement: Placement) -> None:
    """Reference: the formula written out, with gates from the block's own excitation."""
    torch.manual_seed(2)
    block = GatedBlock(4, placement, scale=0.3)
    x = torch.randn(2, 4, 5, 5)
    branch = 0.3 * torch.conv2d(x.clamp_min(0), block.conv.weight, padding=1)
    gated = branch if placement == "residual" else x
    gate = block.gate.excite(gated.mean(dim=(2, 3)))[:, :, None, None]

    expected = x + gate * branch if placement == "residual" else gate * x + branch

    torch.testing.assert_close(block(x), expected)
