"""One training run: the same recipe for every family, with SE and without.

AdamW, one cycle of the learning rate, cross-entropy; no augmentation, no tuning by family or by
the held-out part: what is reported is the last epoch's.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.families.data import Split
from benchmarks.families.tasks import Collate, Task
from detector.metrics import auroc

RATE, DECAY = 3e-3, 1e-2


@dataclass(frozen=True)
class Run:
    """What one run gave."""

    task: str
    se: bool
    seed: int
    measure: float
    """On the held-out part: share of right answers, or AUROC where the task is binary."""
    losses: list[float]
    """Mean training loss of every epoch."""
    parameters: int
    train_s: float


def train(task: Task, split: Split, collate: Collate, *, se: bool, seed: int) -> Run:
    """Train a new network on the task and measure it on what is held out."""
    torch.manual_seed(seed)
    network = task.build(split, se)
    learnt, held = np.flatnonzero(~split.test), np.flatnonzero(split.test)
    steps = task.epochs * -(-len(learnt) // task.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    labels = torch.from_numpy(split.labels)
    rng = np.random.default_rng(seed)
    started_s, losses = time.perf_counter(), []
    network.train()
    for _ in range(task.epochs):
        total = 0.0
        for chosen in _batches(rng.permutation(learnt), task.batch):
            logits = network(*collate([split.samples[i] for i in chosen]))
            loss = functional.cross_entropy(logits, labels[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own lack
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        losses.append(total / len(learnt))
    train_s = time.perf_counter() - started_s
    logits = _logits(network, split, collate, held, task.batch)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    measure = _measure(logits, split.labels[held], binary=task.binary)
    return Run(task.name, se, seed, measure, losses, parameters, train_s)


def _logits(
    network: nn.Module, split: Split, collate: Collate, indices: np.ndarray, batch: int
) -> Tensor:
    network.eval()
    with torch.inference_mode():
        parts = [
            network(*collate([split.samples[i] for i in chosen]))
            for chosen in _batches(indices, batch)
        ]
    return torch.cat(parts)


def _measure(logits: Tensor, labels: np.ndarray, *, binary: bool) -> float:
    if binary:
        return auroc((logits[:, 1] - logits[:, 0]).double().numpy(), labels == 1)
    return float((logits.argmax(dim=1).numpy() == labels).mean())


def _batches(indices: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), batch):
        yield indices[start : start + batch]
