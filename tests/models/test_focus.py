"""Spatial focus: the learnt mask and its gradient."""

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.focus import MaskSqueeze, mask_gradient
from models.pooling import Packing
from models.squeeze_excite import Squeeze, SqueezeExcite
from models.taps import Tapped


def maps(seed: int = 0, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape or (2, 3, 4, 5), generator=generator, dtype=torch.float64)


def masked(logits: torch.Tensor) -> MaskSqueeze:
    """A squeeze with these logits, float64."""
    squeeze = MaskSqueeze((logits.shape[0], logits.shape[1])).double()
    squeeze.logits.data.copy_(logits)
    return squeeze


@given(seed=st.integers(0, 2**31), height=st.integers(1, 6), width=st.integers(1, 6))
def test_equals_naive_twin(seed: int, height: int, width: int) -> None:
    """Reference: sum m x / sum m, a place at a time; float64, 1e-12."""
    x, logits = maps(seed, 2, 3, height, width), maps(seed + 1, height, width)

    squeeze = masked(logits)(x)

    m = logits.exp()
    for b, c in itertools.product(range(2), range(3)):
        places = itertools.product(range(height), range(width))
        whole = sum(float(m[i] * x[b, c][i]) for i in places)
        assert squeeze[b, c].item() == pytest.approx(whole / float(m.sum()), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("size", [(4, 5), (8, 3), (2, 2)])
@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e30])
def test_an_even_mask_is_the_plain_squeeze(size: tuple[int, int], scale: float) -> None:
    """Law: a mask of ones equals the mean, and so does any even one, at every size of map."""
    x = maps(1, 2, 3, *size)
    logits = torch.full((4, 5), scale, dtype=torch.float64).log()

    torch.testing.assert_close(masked(logits)(x), Squeeze()(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        MaskSqueeze((4, 5)).double()(x), Squeeze()(x), rtol=1e-12, atol=1e-12
    )


@given(seed=st.integers(0, 2**31), exponent=st.floats(-300, 300))
def test_the_scale_of_the_mask_is_nothing(seed: int, exponent: float) -> None:
    """Law: 10^-300 to 10^300 times the mask gives the same squeeze, on its grid and off it."""
    logits = maps(seed, 4, 5)
    scaled = logits + exponent * torch.tensor(10.0, dtype=torch.float64).log()

    for x in (maps(seed + 1), maps(seed + 2, 2, 3, 7, 9)):
        torch.testing.assert_close(masked(scaled)(x), masked(logits)(x), rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 2**31))
def test_gradient_of_the_mask_in_closed_form(seed: int) -> None:
    """Reference: p_i (x_ci - s_c) equals torch's derivative; float64, 1e-12."""
    x, logits = maps(seed), maps(seed + 1, 4, 5)

    def squeeze_at(values: torch.Tensor) -> torch.Tensor:
        squeezed: torch.Tensor = torch.func.functional_call(
            masked(logits), {"logits": values}, (x,)
        )
        return squeezed

    derivative = torch.autograd.functional.jacobian(squeeze_at, logits)

    torch.testing.assert_close(mask_gradient(x, logits), derivative, rtol=1e-12, atol=1e-12)
    moved = mask_gradient(x, logits).sum(dim=(2, 3))  # mass is moved, not made
    torch.testing.assert_close(moved, torch.zeros_like(moved), rtol=0, atol=1e-12)


def differences(x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The derivative by central differences, one logit at a time; error about 1e-10."""
    step, rows = 1e-5, []
    for i in range(logits.numel()):
        nudge = torch.zeros(logits.numel(), dtype=torch.float64)
        nudge[i] = step
        up, down = (masked(logits + s * nudge.reshape(logits.shape))(x) for s in (1, -1))
        rows.append((up - down) / (2 * step))
    return torch.stack(rows, dim=-1).reshape(x.shape).detach()


def test_gradient_equals_finite_differences() -> None:
    """Reference: central differences, 1e-8."""
    x, logits = maps(2), maps(3, 4, 5)

    torch.testing.assert_close(mask_gradient(x, logits), differences(x, logits), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "formula",
    [
        pytest.param(lambda x, m, p, s: p * x, id="without the mean"),
        pytest.param(lambda x, m, p, s: p * (x + s), id="sign"),
        pytest.param(lambda x, m, p, s: m * (x - s), id="mask not normalised"),
        pytest.param(lambda x, m, p, s: p * (x - x.mean((2, 3), keepdim=True)), id="plain mean"),
        pytest.param(lambda x, m, p, s: p * (1 - p) * (x - s), id="as of a sigmoid"),
    ],
)
def test_other_formulas_are_not_the_gradient(formula: Callable[..., torch.Tensor]) -> None:
    """Law: the two tests above tell the formula from its neighbours."""
    x, logits = maps(2), maps(3, 4, 5)
    m = logits.exp()
    p = m / m.sum()

    other = formula(x, m, p, (p * x).sum(dim=(2, 3), keepdim=True))

    assert (other - differences(x, logits)).abs().max() > 1e-3


def test_gradient_reaches_a_grid_of_another_size() -> None:
    """Reference: gradcheck through the interpolation, with weights."""
    x, where = maps(4, 2, 3, 7, 6), maps(5, 2, 7, 6).exp()
    squeeze = masked(maps(6, 3, 4))

    assert torch.autograd.gradcheck(
        lambda logits: torch.func.functional_call(squeeze, {"logits": logits}, (x, where)),
        (maps(7, 3, 4).requires_grad_(),),
    )


def test_ascent_moves_the_mask_to_what_differs() -> None:
    """Law: with one channel brighter in one place, its squeeze draws the mask there.

    The place is raised, all others (alike, and below the mean) are lowered by one amount.
    """
    x = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    x[0, 0, 1, 3] = 1
    squeeze = MaskSqueeze((4, 5)).double()

    squeeze(x).sum().backward()

    push = squeeze.logits.grad
    assert push is not None
    assert push[1, 3] > 0
    others = torch.cat([push.flatten()[:8], push.flatten()[9:]])
    assert (others < 0).all()
    torch.testing.assert_close(others, others[:1].expand(19))


def test_training_finds_the_place_that_matters() -> None:
    """Law: where one place alone tells two classes apart, descent puts the mask's tip there."""
    labels = torch.arange(200) % 2
    x = maps(8, 200, 1, 4, 5)
    x[:, 0, 2, 1] += 4.0 * labels - 2
    squeeze = MaskSqueeze((4, 5)).double()
    optimiser = torch.optim.Adam(squeeze.parameters(), lr=0.1)
    for _ in range(50):
        optimiser.zero_grad()
        logits = squeeze(x)[:, 0]
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.double()).backward()
        optimiser.step()

    mask = squeeze.mask(4, 5)

    assert divmod(int(mask.argmax()), 5) == (2, 1)
    assert mask[2, 1] / mask.sum() > 0.5


def test_weights_count_times_the_mask() -> None:
    """Law: places of weight 0 are not seen; the weights' scale is nothing; all-ones are none."""
    squeeze, x = masked(maps(9, 4, 5)), maps(10)
    where = (maps(11, 2, 4, 5) > 0).double()
    elsewhere = torch.where(where[:, None] > 0, x, torch.full_like(x, 1e6))

    torch.testing.assert_close(squeeze(elsewhere, where), squeeze(x, where))
    torch.testing.assert_close(squeeze(x, 5 * where), squeeze(x, where))
    torch.testing.assert_close(squeeze(x, torch.ones_like(where)), squeeze(x))
    assert (squeeze(x, where) - squeeze(x)).abs().max() > 1e-3


def test_is_the_squeeze_of_a_block_with_taps() -> None:
    """Contract: the one block and the one tap mechanism; the mask is part of the state."""
    block = SqueezeExcite(3, 1, squeeze=MaskSqueeze((4, 5))).double()
    x = maps(12)

    taps = Tapped(torch.nn.Sequential(block))(x).blocks["0"]

    assert taps.gate.shape == (2, 3)
    assert "squeeze.logits" in block.state_dict()


@pytest.mark.parametrize(
    ("shape", "weights", "message"),
    [
        ((2, 3, 4, 5), (2, 5, 4), r"\(2, 4, 5\), got \(2, 5, 4\)"),
        ((2, 3, 4, 5), (4, 5), r"\(2, 4, 5\), got \(4, 5\)"),
        ((2, 3, 5), None, r"maps \(b, c, h, w\), got \(2, 3, 5\)"),
    ],
)
def test_other_shapes_are_refused(
    shape: tuple[int, ...], weights: tuple[int, ...] | None, message: str
) -> None:
    """Contract: the error names both shapes."""
    where = None if weights is None else torch.ones(weights)
    with pytest.raises(ValueError, match=message):
        MaskSqueeze((4, 5))(torch.zeros(shape), where)


def test_packed_rows_and_empty_grids_are_refused() -> None:
    """Contract: the error names what was given."""
    with pytest.raises(ValueError, match="got packed rows"):
        MaskSqueeze((4, 5))(torch.zeros(2, 3, 4, 5), Packing.of(torch.tensor([2]), 2))
    with pytest.raises(ValueError, match=r"1 or more, got \(0, 5\)"):
        MaskSqueeze((0, 5))
