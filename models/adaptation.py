"""Adapting gates to one kind of image: trained gates learn on, from normal images alone.

As in ``models.gate_training``, the gated network sees a spoilt image x' and must reproduce the
trunk's features of the clean x::

    loss = mean over blocks l of  e_l(gated network on x') / e_l(trunk on x')

What differs: x is one of the user's normal images, x' the same with a synthetic defect or a
corruption; the gates begin as they were trained; training is short. After every round of steps the
loss is taken on images kept aside, always spoilt alike; training ends when it has not fallen for
two rounds, and the best gates are kept.

One kind of image occupies a small part of the squeezes' range, where a step that suits the whole
range overshoots and leaves gates constant. So each squeeze s is standardised anew first, with mean
m' and deviation d' over the normal images (d' at least a twentieth of the old d), and the first map
is changed such that every gate stays what it was::

    W1 (s - m) / d + b1 = W1' (s - m') / d' + b1',   W1' = W1 d' / d,   b1' = b1 + W1 (m' - m) / d

Every batch is a function of (seed, step). It runs on the CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.corruptions import corrupt
from models.gate_training import CHANNELS_LAST, Images, Scale, to_batch
from models.se_lite0 import lite0, se_lite0
from models.squeeze_excite import Excitation
from models.synthetic_defects import LEARNT, plant

SIDE_PX = 160
"""Side at which gates learn, as the shipped ones did; larger images are shrunk to it."""
BATCH, STEPS, ROUNDS, PATIENCE = 16, 10, 4, 2
"""Images of a step; steps of a round; most rounds, and how many may pass without gain."""
RATE = 2e-3
CORRUPTED_SHARE = 0.3
"""Share of spoilt images that are corrupted (``models.corruptions``) instead of defective."""
MOST_ASIDE, SAMPLE = 48, 64
"""Most images that are kept aside, an eighth of all; most that standardise the squeezes."""
LEAST_DEVIATION = 0.05
"""Of what it was, so that a channel that hardly varies is not blown up."""
MIN_IMAGES = BATCH


class Adapter:
    """The trunk, gates that go on learning, and the images they learn from.

    Args:
        images: normal images, uint8 (n, h, w, 3), all of one shape.
        gates: file of the gates to begin with; None takes those shipped.
        seed: of order, defects and the images kept aside.

    Raises:
        ValueError: if there are fewer than 16 images.
        WeightsError: if weights are missing, altered or misshapen.
    """

    def __init__(self, images: Images, *, gates: Path | None = None, seed: int = 0) -> None:
        if len(images) < MIN_IMAGES:
            raise ValueError(f"gates need {MIN_IMAGES} images or more to learn from")
        self.seed = seed
        self.trunk = lite0().to(memory_format=CHANNELS_LAST).requires_grad_(False)
        self.network = se_lite0(gates).to(memory_format=CHANNELS_LAST).requires_grad_(False)
        excitations = [m for m in self.network.modules() if isinstance(m, Excitation)]
        for gate in excitations:
            gate.requires_grad_(True)
        order = np.random.default_rng([seed, 0]).permutation(len(images))
        aside = min(max(len(images) // 8, 4), MOST_ASIDE)
        small = shrink(images)
        self._aside, self._images = small[order[:aside]], small[order[aside:]]
        self._centre(excitations)
        self._scale = self._measure()
        self._optimiser = torch.optim.AdamW(
            [p for p in self.network.parameters() if p.requires_grad], lr=RATE, weight_decay=1e-4
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: min((step + 1) / STEPS, 1 - step / (STEPS * ROUNDS))
        )

    def train(self, tick: Callable[[int], object]) -> list[float]:
        """Learn until it stops helping; the network ends with its best gates.

        Returns the loss on the images kept aside: before, then after every round.

        Args:
            tick: called with 1 after every step; there are at most ROUNDS x STEPS.
        """
        losses, best = [self.loss()], self._state()
        for round_ in range(ROUNDS):
            for step in range(round_ * STEPS, (round_ + 1) * STEPS):
                self._step(step)
                tick(1)
            losses.append(self.loss())
            if losses[-1] == min(losses):
                best = self._state()
            elif min(losses[-PATIENCE:]) > min(losses):
                break
        self.network.load_state_dict(best)
        return losses

    def _step(self, step: int) -> None:
        rng = np.random.default_rng([self.seed, 1, step])
        chosen = rng.permutation(len(self._images))[:BATCH]
        clean, spoilt = spoilt_pair(self._images[chosen], rng)
        with torch.no_grad():
            wanted = self.trunk.features(clean)
        loss = self._scale.ratios(self.network.features(spoilt), wanted).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own lack
        self._optimiser.step()
        self._schedule.step()

    @torch.no_grad()
    def _centre(self, gates: Sequence[Excitation]) -> None:
        """Standardise the squeezes by the normal images; every gate stays what it was."""
        squeezes: list[list[Tensor]] = [[] for _ in gates]

        def keep(index: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            return lambda _module, inputs: squeezes[index].append(inputs[0])

        hooks = [gate.register_forward_pre_hook(keep(i)) for i, gate in enumerate(gates)]
        sample = self._images[:SAMPLE]
        for start in range(0, len(sample), BATCH):
            self.network.features(to_batch(sample[start : start + BATCH]))
        for gate, rows, hook in zip(gates, squeezes, hooks, strict=True):
            hook.remove()
            centre(gate, torch.cat(rows))

    @torch.no_grad()
    def loss(self) -> float:
        """Return the loss on the images kept aside, always spoilt alike."""
        ratios = [
            self._scale.ratios(self.network.features(spoilt), self.trunk.features(clean)).mean()
            * len(clean)
            for clean, spoilt in self._aside_pairs()
        ]
        return float(torch.stack(ratios).sum()) / len(self._aside)

    def _aside_pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([self.seed, 2])
        for start in range(0, len(self._aside), BATCH):
            yield spoilt_pair(self._aside[start : start + BATCH], rng)

    @torch.no_grad()
    def _measure(self) -> Scale:
        """Return the variance and the trunk's error of every block on the images kept aside."""
        sums = []
        for clean, spoilt in self._aside_pairs():
            pairs = zip(self.trunk.features(clean), self.trunk.features(spoilt), strict=True)
            sums.append(
                [
                    torch.stack([(h - f).square(), f, f.square()]).mean(dim=(3, 4)).sum(dim=1)
                    for f, h in pairs
                ]
            )
        variances, errors = [], []
        for parts in zip(*sums, strict=True):
            error, mean, square = torch.stack(parts).sum(dim=0) / len(self._aside)
            variances.append((square - mean.square()).clamp_min(1e-6))
            errors.append((error / variances[-1]).mean().clamp_min(1e-6))
        return Scale(variances, errors)

    def _state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}


@torch.no_grad()
def centre(gate: Excitation, squeezes: Tensor) -> None:
    """Standardise by the mean and deviation of squeezes (n, c); the gates stay what they were."""
    mean = squeezes.mean(dim=0)
    deviation = torch.maximum(squeezes.std(dim=0), LEAST_DEVIATION * gate.deviation)
    weight = gate.reduce.weight / gate.deviation
    assert gate.reduce.bias is not None
    gate.reduce.bias.add_(weight @ (mean - gate.mean))
    gate.reduce.weight.copy_(weight * deviation)
    gate.mean.copy_(mean)
    gate.deviation.copy_(deviation)


def spoilt_pair(images: Images, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return (clean, spoilt) batches: every spoilt image has a defect, or else is corrupted."""
    spoilt = [
        corrupt(image, rng) if rng.random() < CORRUPTED_SHARE else plant(image, LEARNT, rng)[0]
        for image in images
    ]
    return to_batch(images), to_batch(np.stack(spoilt))


def shrink(images: Images) -> Images:
    """Return images whose short side is ``SIDE_PX`` at most, antialiased; smaller ones as are."""
    scale = SIDE_PX / min(images.shape[1:3])
    if scale >= 1:
        return images
    size = [max(SIDE_PX, round(side * scale)) for side in images.shape[1:3]]
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    small = functional.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())
