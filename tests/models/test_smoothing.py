"""Gates smoothed over time: the tridiagonal system against SciPy, and what follows from it."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch.utils._python_dispatch import TorchDispatchMode

from models.smoothing import smooth

penalties = st.one_of(st.just(0.0), st.floats(1e-6, 1e8))


def gates_of(seed: int, *shape: int) -> torch.Tensor:
    """Gates in (0, 1), float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def by_scipy(gates: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """The system I + lambda D^T D, its two diagonals handed to SciPy; gates (n, t)."""
    frames = gates.shape[1]
    bands = np.zeros((2, frames))
    neighbours = np.full(frames, 2.0)
    neighbours[0] -= 1
    neighbours[-1] -= 1
    bands[1] = 1 + penalty * neighbours
    bands[0, 1:] = -penalty
    solution: NDArray[np.float64] = solveh_banded(bands, gates.T).T
    return solution


@given(seed=st.integers(0, 2**31), frames=st.integers(2, 40), exponent=st.floats(-6, 4, width=32))
def test_equals_scipys_banded_solve(seed: int, frames: int, exponent: float) -> None:
    """Reference: scipy.linalg.solveh_banded; float64, 1e-10."""
    gates, penalty = gates_of(seed, 3, frames), 10.0**exponent

    actual = smooth(gates, penalty).numpy()

    np.testing.assert_allclose(actual, by_scipy(gates.numpy(), penalty), rtol=0, atol=1e-10)


@pytest.mark.parametrize("penalty", [0.5, 10.0])
def test_is_the_minimum(penalty: float) -> None:
    """Law: the sum that is to be least has no gradient there, and is more anywhere near."""
    gates = gates_of(1, 12)

    def cost(q: torch.Tensor) -> torch.Tensor:
        return ((q - gates) ** 2).sum() + penalty * (q.diff() ** 2).sum()

    best = smooth(gates, penalty).requires_grad_()
    (gradient,) = torch.autograd.grad(cost(best), best)

    assert gradient.abs().max() < 1e-12
    for seed in range(5):
        assert cost(best + 1e-3 * (gates_of(seed, 12) - 0.5)) > cost(best)


@given(seed=st.integers(0, 2**31), frames=st.integers(1, 30), penalty=penalties)
def test_keeps_the_sum_and_the_bounds(seed: int, frames: int, penalty: float) -> None:
    """Law: the sum over time is kept, no gate leaves [min g, max g]: also for a huge lambda."""
    gates = gates_of(seed, 2, frames)

    smoothed = smooth(gates, penalty)

    torch.testing.assert_close(smoothed.sum(1), gates.sum(1), rtol=1e-10, atol=0)
    assert (smoothed >= gates.amin(1, keepdim=True) - 1e-15).all()
    assert (smoothed <= gates.amax(1, keepdim=True) + 1e-15).all()


@given(seed=st.integers(0, 2**31), frames=st.integers(1, 30))
def test_no_penalty_is_the_identity_and_an_endless_one_the_mean(seed: int, frames: int) -> None:
    """Law: lambda = 0 returns g bit for bit; lambda = 1e12 the mean over time."""
    gates = gates_of(seed, 2, 3, frames)

    assert torch.equal(smooth(gates, 0.0), gates)
    mean = gates.mean(-1, keepdim=True).expand_as(gates)
    torch.testing.assert_close(smooth(gates, 1e12), mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(7,), (2, 7), (2, 3, 5, 7)])
def test_leading_axes_are_solved_apart(shape: tuple[int, ...]) -> None:
    """Law: every series of a batch comes out as it does alone, in float32 as in float64."""
    gates = gates_of(2, *shape).float()

    smoothed = smooth(gates, 3.0)

    assert smoothed.dtype is torch.float32
    alone = torch.stack([smooth(row, 3.0) for row in gates.reshape(-1, 7)]).reshape(shape)
    assert torch.equal(smoothed, alone)
    torch.testing.assert_close(smoothed.double(), smooth(gates.double(), 3.0), rtol=0, atol=1e-6)


def test_gradient_is_the_same_solve() -> None:
    """Reference: gradcheck. Law: the matrix is symmetric, so the gradient is smoothed likewise."""
    gates = gates_of(3, 2, 6).requires_grad_()
    weights = gates_of(4, 2, 6)

    assert torch.autograd.gradcheck(lambda g: smooth(g, 2.0), (gates,))
    (gradient,) = torch.autograd.grad((weights * smooth(gates, 2.0)).sum(), gates)
    torch.testing.assert_close(gradient, smooth(weights, 2.0))


class Elements(TorchDispatchMode):
    """Counts the elements written by every torch operation, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.written = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        result = function(*args, **(kwargs or {}))
        self.calls[function.overloadpacket.__name__] += 1
        written = result if isinstance(result, (list, tuple)) else [result]
        self.written += sum(x.numel() for x in written if isinstance(x, torch.Tensor))
        return result


def counted(frames: int, *, backward: bool) -> Elements:
    """What ``smooth`` and, where asked, its gradient do for one series."""
    gates = gates_of(5, frames).requires_grad_(backward)
    with Elements() as elements:
        smoothed = smooth(gates, 4.0)
        if backward:
            smoothed.backward(torch.ones(frames, dtype=torch.float64))
    return elements


@pytest.mark.parametrize("backward", [False, True])
def test_operations_grow_linearly_with_time(backward: bool) -> None:
    """Law: each further frame costs the same number of operations and of elements: O(t)."""
    series = [counted(frames, backward=backward) for frames in (20, 40, 80, 160)]

    for count in (
        [sum(elements.calls.values()) for elements in series],
        [elements.written for elements in series],
    ):
        slopes = {
            (after - before) / frames
            for before, after, frames in zip(count, count[1:], (20, 40, 80), strict=False)
        }
        assert len(slopes) == 1, count


def test_takes_two_sweeps() -> None:
    """Law: 2 (t - 1) steps, apart from taking the frames apart and putting them together."""
    assert counted(50, backward=False).calls["lerp"] == 2 * 49
    assert sum(counted(50, backward=False).calls.values()) == 2 * 49 + 2


@pytest.mark.parametrize("penalty", [10.0, 100.0])
def test_iterating_takes_the_longer_the_larger_the_penalty(penalty: float) -> None:
    """Law: at the best step, descent leaves (1 - 1/(1 + 2 lambda))^k of the slowest error."""
    gates = torch.zeros(400, dtype=torch.float64)
    gates += torch.cos(torch.pi * (torch.arange(400) + 0.5) / 400)  # the slowest but the mean
    exact, q = smooth(gates, penalty), torch.zeros_like(gates)
    steps = math.ceil(penalty)
    for _ in range(steps):
        change = torch.nn.functional.pad(q.diff(), (1, 1))
        q = q + (gates - q + penalty * change.diff()) / (1 + 2 * penalty)

    left = ((q - exact).norm() / exact.norm()).item()

    assert left == pytest.approx((1 - 1 / (1 + 2 * penalty)) ** steps, rel=0.01)


@pytest.mark.parametrize("penalty", [-1.0, -1e-9, math.inf, math.nan])
def test_impossible_penalties_are_refused(penalty: float) -> None:
    """Contract: the error names what was given."""
    with pytest.raises(ValueError, match=f"finite and 0 or more, got {penalty}"):
        smooth(torch.zeros(3), penalty)


@pytest.mark.parametrize("shape", [(), (2, 0)])
def test_gates_without_frames_are_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names the wanted and the given shape."""
    with pytest.raises(ValueError, match=r"\(\.\.\., t\) with t >= 1, got \("):
        smooth(torch.zeros(shape), 1.0)
