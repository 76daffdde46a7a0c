"""Training the gates: a gated network that sees a corrupted image must match the clean trunk.

Let f_l(x) be the frozen trunk's output of block l, h_l the gated network's, and x' a corrupted x::

    e_l(h) = mean over channels c of  mean (h_lc(x') - f_lc(x))^2 / v_lc
    loss   = mean over blocks l of    e_l(gated) / e_l(ungated)

v_lc is the variance of the clean feature. With identity gates the loss is 1, and 1 - loss is the
share of the feature error that the gates remove. Only gates learn; gradients pass through the
trunk. v, e_l(ungated) and the mean and deviation that standardise each squeeze come from one pass
over a sample of the training images. Every batch is a function of (seed, step), so a resumed run
equals one that never stopped.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from models.corruptions import corrupt
from models.lite0 import Lite0
from models.preprocess import LITE0
from models.squeeze_excite import Excitation

Images = NDArray[np.uint8]
CHANNELS_LAST = torch.channels_last


def read_pool(files: Sequence[Path], side_px: int) -> Images:
    """Read images as uint8 (n, side, side, 3): short side resized, centre cropped."""
    out = np.empty((len(files), side_px, side_px, 3), np.uint8)
    for index, file in enumerate(files):
        with Image.open(file) as image:
            scale = side_px / min(image.size)
            size = [max(side_px, round(side * scale)) for side in image.size]
            pixels = np.asarray(image.convert("RGB").resize((size[0], size[1])))
        top, left = ((extent - side_px) // 2 for extent in pixels.shape[:2])
        out[index] = pixels[top : top + side_px, left : left + side_px]
    return out


def is_held_out(file: Path, share: float = 0.05) -> bool:
    """Say whether a photograph is for validation; all crops ``_c<k>`` of one go the same way."""
    photograph = file.stem.rsplit("_c", 1)[0] if file.stem[-2:-1] == "c" else file.stem
    digest = hashlib.sha256(photograph.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def to_batch(images: Images) -> Tensor:
    """Return normalised float images (b, 3, h, w), channels last in memory."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return LITE0.normalise(pixels).contiguous(memory_format=CHANNELS_LAST)


def corrupted_pair(images: Images, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return (clean, corrupted) batches; half of the images are mirrored first."""
    flip = rng.random(len(images)) < 0.5
    clean = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
    corrupted = np.stack([corrupt(np.ascontiguousarray(image), rng) for image in clean])
    return to_batch(clean), to_batch(corrupted)


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes blocks and channels comparable: per block, v (c,) and the ungated error e."""

    variance: list[Tensor]
    ungated_error: list[Tensor]

    def errors(self, features: Sequence[Tensor], clean: Sequence[Tensor]) -> Tensor:
        """Return e_l of every block, (blocks,)."""
        return torch.stack(
            [
                ((h - f).square().mean(dim=(0, 2, 3)) / v).mean()
                for h, f, v in zip(features, clean, self.variance, strict=True)
            ]
        )

    def ratios(self, features: Sequence[Tensor], clean: Sequence[Tensor]) -> Tensor:
        """Return e_l / e_l(ungated) of every block, (blocks,)."""
        return self.errors(features, clean) / torch.stack(self.ungated_error)


class GateTrainer:
    """The frozen trunk, the gated network, the optimiser and the step they have come to."""

    def __init__(
        self,
        trunk: Lite0,
        gated: Lite0,
        images: Images,
        *,
        seed: int,
        batch: int,
        steps: int,
        rate: float,
        reference: int = 512,
    ) -> None:
        self.trunk = trunk.to(memory_format=CHANNELS_LAST).eval()
        self.gated = gated.to(memory_format=CHANNELS_LAST).eval()
        self.images, self.seed, self.batch, self.steps = images, seed, batch, steps
        self.step = 0
        self.plan = {"seed": seed, "batch": batch, "steps": steps, "images": len(images)}
        self.trunk.requires_grad_(requires_grad=False)
        self.gated.requires_grad_(requires_grad=False)
        gates = [module for module in gated.modules() if isinstance(module, Excitation)]
        for gate in gates:
            gate.requires_grad_(requires_grad=True)
        parameters = [p for p in gated.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-4)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, max_lr=rate, total_steps=steps, pct_start=max(0.1, min(0.9, 2 / steps))
        )
        self.scale = self._measure(gates, min(reference, len(images)))

    @torch.no_grad()
    def _measure(self, gates: Sequence[Excitation], count: int) -> Scale:
        """One pass over a random sample: squeeze moments, feature variance, ungated error."""
        squeezes: list[list[Tensor]] = [[] for _ in gates]

        def keep(index: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            return lambda _module, inputs: squeezes[index].append(inputs[0])

        sums: list[list[Tensor]] = []  # per batch: for each block (error, mean, mean square)
        rng = np.random.default_rng([self.seed, 2])
        sample = rng.permutation(len(self.images))[:count]  # files come sorted, kind by kind
        for start in range(0, count, self.batch):
            clean, corrupted = corrupted_pair(self.images[sample[start : start + self.batch]], rng)
            hooks = [g.register_forward_pre_hook(keep(i)) for i, g in enumerate(gates)]
            # The gates are the identity at first, so the gated network is the trunk here.
            wanted = self.gated.features(clean)
            for hook in hooks:
                hook.remove()
            actual = self.trunk.features(corrupted)
            sums.append(
                [
                    torch.stack(
                        [
                            (h - f).square().mean((0, 2, 3)),
                            f.mean((0, 2, 3)),
                            f.square().mean((0, 2, 3)),
                        ]
                    )
                    for h, f in zip(actual, wanted, strict=True)
                ]
            )
        for gate, rows in zip(gates, squeezes, strict=True):
            all_rows = torch.cat(rows)
            gate.mean.copy_(all_rows.mean(dim=0))
            gate.deviation.copy_(all_rows.std(dim=0).clamp_min(1e-4))
        variances, errors = [], []
        for blocks in zip(*sums, strict=True):
            error, mean, square = torch.stack(blocks).mean(dim=0)
            variance = (square - mean.square()).clamp_min(1e-6)
            variances.append(variance)
            errors.append((error / variance).mean())
        return Scale(variances, errors)

    def pair(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of a step: an epoch's order and corruptions depend on seed and step."""
        per_epoch = max(len(self.images) // self.batch, 1)
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.images))
        chosen = order[position * self.batch : (position + 1) * self.batch]
        return corrupted_pair(self.images[chosen], np.random.default_rng([self.seed, 1, step]))

    def train_step(self, pair: tuple[Tensor, Tensor]) -> float:
        """Learn from one (clean, corrupted) batch; return its loss."""
        clean, corrupted = pair
        with torch.no_grad():
            wanted = self.trunk.features(clean)
        loss = self.scale.ratios(self.gated.features(corrupted), wanted).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own lack
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def evaluate(self, images: Images) -> tuple[Tensor, Tensor]:
        """Return (gated, ungated) error of every block on other images, always corrupted alike."""
        rng = np.random.default_rng([self.seed, 3])
        gated, ungated = [], []
        for start in range(0, len(images), self.batch):
            clean, corrupted = corrupted_pair(images[start : start + self.batch], rng)
            wanted = self.trunk.features(clean)
            gated.append(self.scale.errors(self.gated.features(corrupted), wanted))
            ungated.append(self.scale.errors(self.trunk.features(corrupted), wanted))
        return torch.stack(gated).mean(dim=0), torch.stack(ungated).mean(dim=0)

    def save(self, path: Path) -> None:
        """Write gates, optimiser and step under a temporary name, then rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "plan": self.plan,
                "step": self.step,
                "gated": self.gated.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(),
            },
            partial,
        )
        os.replace(partial, path)

    def resume(self, path: Path) -> None:
        """Continue from what ``save`` wrote; data and corruptions follow from the step.

        Raises:
            ValueError: if the checkpoint belongs to a run with other options or other images.
        """
        state = torch.load(path, weights_only=True)
        if state["plan"] != self.plan:
            raise ValueError(f"{path} belongs to a run with {state['plan']}, this is {self.plan}")
        self.gated.load_state_dict(state["gated"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]
