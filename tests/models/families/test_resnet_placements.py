"""The five places of the SE block in a residual block, each against its formula."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.families.resnet import PLACEMENTS, Placement, ResidualBlock, basic
from models.squeeze_excite import SqueezeExcite

Map = Callable[[Tensor], Tensor]
FORMULAS: dict[Placement, Callable[[Tensor, Map, Map, Map], Tensor]] = {
    "residual": lambda x, p, f, s: torch.relu(p(x) + s(f(x))),
    "before": lambda x, p, f, s: torch.relu(p(x) + f(s(x))),
    "after": lambda x, p, f, s: s(torch.relu(p(x) + f(x))),
    "identity": lambda x, p, f, s: torch.relu(s(p(x)) + f(x)),
    "beside": lambda x, p, f, s: torch.relu(p(x) + f(x) + s(p(x))),
}


def shake(network: nn.Module) -> None:
    """Give batch normalisation values that change what it is given."""
    for value in network.state_dict().values():
        if value.dim() == 1:
            value.uniform_(0.5, 1.5)


def block(placement: Placement | None, inputs: int, stride: int) -> ResidualBlock:
    """A block to 8 channels, with the same values for every placement where shapes allow."""
    torch.manual_seed(7)
    made = ResidualBlock(
        basic(inputs, 8, stride), inputs, 8, stride=stride, placement=placement, reduction=2
    )
    shake(made.residual)
    shake(made.shortcut)
    return made.eval().requires_grad_(False)


def gated_by(gate: SqueezeExcite) -> Map:
    """The SE block from its values: mean, two maps, sigmoid, product."""
    w = gate.state_dict()

    def rescale(u: Tensor) -> Tensor:
        s = u.sum(dim=(2, 3)) / (u.shape[2] * u.shape[3])
        z = torch.relu(s @ w["excite.reduce.weight"].T + w["excite.reduce.bias"])
        g = 1 / (1 + torch.exp(-(z @ w["excite.expand.weight"].T + w["excite.expand.bias"])))
        return g[:, :, None, None] * u

    return rescale


@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (8, 2), (4, 1)])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_block_equals_its_formula_and_no_other(
    placement: Placement, inputs: int, stride: int
) -> None:
    """Reference: the formula of the module's docstring; the other formulas give other maps."""
    made = block(placement, inputs, stride)
    x = torch.randn(3, inputs, 6, 6)
    parts = made.shortcut, made.residual, gated_by(made.gate)
    y = made(x)

    torch.testing.assert_close(y, FORMULAS[placement](x, *parts), rtol=1e-5, atol=1e-6)
    for other, formula in FORMULAS.items():
        fits = inputs == 8 or "before" not in (other, placement)  # else the channels differ
        if other != placement and fits:
            assert (y - formula(x, *parts)).abs().max() > 1e-2, other


@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (4, 2)])
def test_block_without_se_is_the_plain_sum(inputs: int, stride: int) -> None:
    """Reference: relu(P(x) + F(x))."""
    made = block(None, inputs, stride)
    x = torch.randn(3, inputs, 6, 6)

    torch.testing.assert_close(made(x), torch.relu(made.shortcut(x) + made.residual(x)))


@pytest.mark.parametrize(
    ("placement", "factor"),
    [
        ("residual", lambda g: torch.ones_like(g)),
        ("before", lambda g: torch.ones_like(g)),
        ("after", lambda g: g),
        ("identity", lambda g: g),
        ("beside", lambda g: 1 + g),
    ],
)
def test_what_a_shortcut_alone_carries(placement: Placement, factor: Map) -> None:
    """Law: with F = 0 a chain keeps x, or multiplies it by each block's g, or by each 1 + g."""
    chain = [block(placement, 8, 1) for _ in range(4)]
    x = torch.rand(2, 8, 5, 5)
    expected = x
    for made in chain:
        last = made.residual.get_submodule("1.norm")
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        g = made.gate.excite(made.gate.squeeze(expected))
        expected = factor(g)[:, :, None, None] * expected

    y = x
    for made in chain:
        y = made(y)

    torch.testing.assert_close(y, expected)
