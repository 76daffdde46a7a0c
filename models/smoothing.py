"""Gates smoothed over time: few changes from frame to frame, in closed form.

For the gates g (t,) of one channel, one for every frame, and a penalty lambda >= 0::

    q = argmin  sum_i (q_i - g_i)^2 + lambda sum_i (q_i - q_(i-1))^2
    (I + lambda D^T D) q = g              D (t - 1, t): differences of neighbours

Symmetric, tridiagonal, and solved in two sweeps (the Thomas algorithm: elimination, then
substitution). With e_1 = 1 and e_(i+1) = 1 + lambda e_i / (lambda + e_i) the pivots are
lambda + e_i (e_t for the last frame), and the sweeps are running averages::

    p_1 = g_1      p_i = p_(i-1) + (g_i - p_(i-1)) / e_i                       onwards
    q_t = p_t      q_i = p_i + (q_(i+1) - p_i) lambda / (lambda + e_i)         backwards

What follows: lambda = 0 returns g; lambda -> inf tends to the mean of g; the sum of q is the sum
of g, because D 1 = 0; every q_i is an average of g with weights >= 0, so that it stays within
[min g, max g] and a gate a gate.

Why it is solved and not iterated: the eigenvalues of I + lambda D^T D reach from 1 to almost
1 + 4 lambda, so gradient descent at its best step length 1 / (1 + 2 lambda) takes off one part in
1 + 2 lambda of the slow errors at each step, and one step costs as much as one sweep. The two
sweeps are exact for every lambda.

Source: Eilers, "A perfect smoother", Analytical Chemistry 75 (2003) 3631-3636: the penalised least
squares and their linear system, here with differences of order one and weights of one.
Ours: the elimination is written in e_i, without any subtraction of the pivots (1 + 2 lambda -
lambda^2 / pivot cancels where lambda is large).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def smooth(gates: Float[Tensor, "..."], penalty: float) -> Float[Tensor, "..."]:
    """Return the gates smoothed over time, of the same shape, by 2 (t - 1) steps of O(1) each.

    Differentiable; the gradient takes O(t) as well.

    Args:
        gates: (..., t); one for every frame, time last.
        penalty: lambda, finite and >= 0; how much a change costs.

    Raises:
        ValueError: if the penalty is negative or not finite, or there is no frame.
    """
    check_penalty(penalty)
    if gates.dim() == 0 or gates.shape[-1] == 0:
        raise ValueError(f"gates must have shape (..., t) with t >= 1, got {tuple(gates.shape)}")
    frames = gates.unbind(dim=-1)  # one node of the graph: slices would make its gradient O(t^2)
    masses = _masses(len(frames), penalty)
    averages = [frames[0]]
    for frame, mass in zip(frames[1:], masses[1:], strict=True):
        averages.append(torch.lerp(averages[-1], frame, 1 / mass))
    smoothed = [averages[-1]]
    for average, mass in zip(averages[-2::-1], masses[-2::-1], strict=True):
        smoothed.append(torch.lerp(average, smoothed[-1], penalty / (penalty + mass)))
    return torch.stack(smoothed[::-1], dim=-1)


def check_penalty(penalty: float) -> None:
    """Raise ValueError if the penalty is negative or not finite."""
    if not (math.isfinite(penalty) and penalty >= 0):
        raise ValueError(f"the penalty must be finite and 0 or more, got {penalty}")


def _masses(frames: int, penalty: float) -> list[float]:
    """Return e_1..e_t: how many frames each running average stands for."""
    masses = [1.0]
    while len(masses) < frames:
        masses.append(1 + penalty / (penalty + masses[-1]) * masses[-1])
    return masses
