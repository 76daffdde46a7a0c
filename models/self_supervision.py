"""Learning without labels: an SE network and a task that normal samples alone can set.

A task spoils a sample and asks for what was there (masking, denoising), or transforms it and asks
how (transformation prediction); whoever solves it for normal samples has learned what is normal.
Every batch is a function of (seed, step); the loss that decides is taken on samples kept aside,
always spoilt alike, so it compares from round to round. Training ends when it has not fallen for
``patience`` rounds, when the rounds are over, or when the time is; the best weights are kept.

The rate rises over the first round and falls linearly to 0 at the last step.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.plan import Plan
from models.preprocess import Preparation

MIN_SAMPLES = 8
"""Fewest samples that anything can be learned from."""

Stopped = Literal["patience", "rounds", "time"]


class Task(nn.Module, ABC):
    """A network with what it needs to be asked, such as a head that reconstructs.

    Attributes:
        network: what is kept; the rest of the task is thrown away after training.
    """

    network: nn.Module

    @abstractmethod
    def loss(self, inputs: tuple[Tensor, ...], rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the mean loss of a batch.

        Args:
            inputs: as the network's ``Preparation.inputs`` gives them.
            rng: of the CPU; whatever is drawn is drawn from it.
        """


@dataclass(frozen=True, slots=True)
class Report:
    """What training did.

    Attributes:
        losses: on the samples kept aside, before and after every round.
        steps: that were taken.
        stopped: why it ended.
        samples: that were learned from.
        aside: samples that were kept aside.
    """

    losses: tuple[float, ...]
    steps: int
    stopped: Stopped
    samples: int
    aside: int


def train(
    task: Task,
    preparation: Preparation,
    samples: Sequence[np.ndarray],
    *,
    device: torch.device,
    plan: Plan,
    seed: int = 0,
    seconds: float = float("inf"),
    tick: Callable[[int], object] = lambda _: None,
) -> Report:
    """Train a task's network on prepared samples; it ends with its best weights, in evaluation.

    The same samples in the same order, plan and seed give the same weights on the same machine,
    unless the time was up.

    Args:
        task: its parameters are to have been drawn under the seed by the caller.
        preparation: makes batches.
        samples: prepared; an eighth of them, two at least and 128 at most, are kept aside.
        device: where it runs.
        plan: how long and how fast.
        seed: of order and of all that the task draws.
        seconds: most that may pass; a step that has begun ends.
        tick: called with 1 after every step; may raise, to stop it.

    Raises:
        ValueError: if there are fewer than ``MIN_SAMPLES``.
        FloatingPointError: if the loss is not finite.
    """
    if len(samples) < MIN_SAMPLES:
        raise ValueError(f"{MIN_SAMPLES} samples or more are needed, got {len(samples)}")
    end_s = time.monotonic() + seconds
    task.to(device)
    order = np.random.default_rng([seed, 0]).permutation(len(samples))
    count = min(max(len(samples) // 8, 2), 128)
    aside = [samples[at] for at in order[:count]]
    learned = [samples[at] for at in order[count:]]
    optimiser = torch.optim.AdamW(task.parameters(), lr=plan.rate, weight_decay=plan.decay)
    most = plan.steps * plan.rounds
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / plan.steps, 1 - step / most)
    )

    def shown(some: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        return preparation.inputs(some, device)[0]

    @torch.no_grad()
    def judged() -> float:
        task.eval()
        total = 0.0
        for number, start in enumerate(range(0, count, plan.batch)):
            some = aside[start : start + plan.batch]
            total += float(task.loss(shown(some), _generator(seed, 1, number))) * len(some)
        if not np.isfinite(total):
            raise FloatingPointError("the loss is not finite: the samples are out of range")
        return total / count

    losses, best = [judged()], _state(task.network)
    step, stopped = 0, "rounds"
    for _ in range(plan.rounds):
        task.train()
        for _ in range(plan.steps):
            chosen = np.random.default_rng([seed, 2, step]).permutation(len(learned))
            some = [learned[at] for at in chosen[: plan.batch]]
            loss = task.loss(shown(some), _generator(seed, 3, step))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own lack
            nn.utils.clip_grad_norm_(task.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            tick(1)
            if time.monotonic() > end_s:
                stopped = "time"
                break
        losses.append(judged())
        if losses[-1] <= min(losses):
            best = _state(task.network)
        elif min(losses[-plan.patience :]) > min(losses):
            stopped = "patience" if stopped == "rounds" else stopped
            break
        if stopped == "time":
            break
    task.network.load_state_dict(best)
    task.eval()
    return Report(tuple(losses), step, stopped, len(learned), count)  # type: ignore[arg-type]


def _generator(*key: int) -> torch.Generator:
    """Return a generator of the CPU that depends on the key alone."""
    state = int(np.random.default_rng(list(key)).integers(2**63))
    return torch.Generator().manual_seed(state)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
