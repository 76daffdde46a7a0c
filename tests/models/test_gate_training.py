"""Training the gates: its loss against NumPy, and that stopping changes nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import gate_training
from models.checkpoints import gate_tensors
from models.gate_training import (
    GateTrainer,
    Scale,
    corrupted_pair,
    to_batch,
)
from models.se_lite0 import lite0, se_lite0

Images = NDArray[np.uint8]
Crops = Callable[[int, int], Images]
Build = Callable[..., GateTrainer]
Pair = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture
def build(crops: Crops) -> Build:
    """A trainer at its beginning, on eight small crops unless told otherwise."""

    def trainer(
        images: Images | None = None, *, batch: int = 4, steps: int = 4, **options: int
    ) -> GateTrainer:
        images = crops(8, 32) if images is None else images
        options = {"seed": 7, "batch": batch, "steps": steps, **options}
        torch.manual_seed(0)  # a gate's first map begins at random
        return GateTrainer(lite0(), se_lite0(trained=False), images, **options, rate=1e-2)

    return trainer


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """The (clean, corrupted) batches in the order in which trainers make them."""
    made: list[Pair] = []

    def make_and_keep(images: Images, rng: np.random.Generator) -> Pair:
        made.append(corrupted_pair(images, rng))
        return made[-1]

    monkeypatch.setattr(gate_training, "corrupted_pair", make_and_keep)
    return made


def train(trainer: GateTrainer, steps: int) -> list[float]:
    return [trainer.train_step(trainer.pair(trainer.step)) for _ in range(steps)]


def assert_same_state(one: GateTrainer, other: GateTrainer) -> None:
    states = one.gated.state_dict(), other.gated.state_dict()
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name
    assert one.step == other.step
    assert one.schedule.get_last_lr() == other.schedule.get_last_lr()


def test_resumed_run_equals_one_that_never_stopped(build: Build, tmp_path: Path) -> None:
    """Law: 2 steps, saved, loaded into a fresh trainer and 2 more are 4 steps, bit for bit."""
    whole, first, second = build(), build(), build()
    losses = train(whole, 4)

    halves = train(first, 2)
    first.save(tmp_path / "run" / "checkpoint.pt")
    second.resume(tmp_path / "run" / "checkpoint.pt")
    halves += train(second, 2)

    assert halves == losses
    assert_same_state(second, whole)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]
    assert any(
        value.abs().sum() > 0 for value in second.optimiser.state_dict()["state"][0].values()
    )


def test_same_seed_same_run(build: Build) -> None:
    """Law: the seed decides everything; another seed gives another run."""
    one, again, other = build(), build(), build(seed=8)

    assert train(one, 2) == train(again, 2) != train(other, 2)
    assert_same_state(one, again)


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 10, 11, 20, 21])
def test_any_number_of_steps_has_a_schedule(build: Build, crops: Crops, steps: int) -> None:
    """Contract: short runs warm up too; the rate rises from low and ends near zero."""
    trainer = build(crops(4, 16), steps=steps)
    rates = [trainer.schedule.get_last_lr()[0]]

    for _ in range(steps - 1):
        trainer.optimiser.step()
        trainer.schedule.step()
        rates.append(trainer.schedule.get_last_lr()[0])

    assert all(0 < rate <= 1e-2 for rate in rates)
    if steps > 2:
        assert max(rates) > 5e-3
        assert rates[-1] < 1e-4


def test_loss_is_one_on_the_calibration_batch(build: Build, pairs: list[Pair]) -> None:
    """Reference: identity gates on the images and corruptions that set the scale; 0.1 %."""
    trainer = build(batch=8)

    assert len(pairs) == 1
    assert trainer.train_step(pairs[0]) == pytest.approx(1, rel=1e-3)


def test_identity_gates_err_as_the_trunk_does(build: Build, crops: Crops) -> None:
    """Law: before training both errors of an evaluation are the same, whatever the images."""
    images = crops(12, 32)
    trainer = build(images[:8])

    gated, ungated = trainer.evaluate(images)

    assert torch.equal(gated, ungated)
    twice = [trainer.evaluate(images) for _ in range(2)]
    assert all(torch.equal(one, other) for one, other in zip(*twice, strict=True))


def test_scale_comes_from_a_sample_of_all_images(build: Build, pairs: list[Pair]) -> None:
    """Law: of images sorted by kind, the first kind alone does not set the scale."""
    rng = np.random.default_rng(0)
    dark, bright = (rng.integers(low, low + 100, (16, 32, 32, 3), np.uint8) for low in (0, 150))

    build(np.concatenate([dark, bright]), reference=12)

    means = torch.cat([clean for clean, _ in pairs]).mean(dim=(1, 2, 3))
    assert len(means) == 12
    assert 3 <= int((means > 0).sum()) <= 9


def test_only_gates_learn(build: Build) -> None:
    """Law: training moves every gate's maps and nothing of the trunk, its statistics included."""
    trainer = build()
    before = {name: value.clone() for name, value in trainer.gated.state_dict().items()}
    trunk = {name: value.clone() for name, value in trainer.trunk.state_dict().items()}
    fixed = {name for name in before if name.endswith(("excite.mean", "excite.deviation"))}
    learned = set(gate_tensors(trainer.gated)) - fixed

    train(trainer, 3)

    changed = {k for k, v in trainer.gated.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == learned
    assert all(torch.equal(v, trunk[k]) for k, v in trainer.trunk.state_dict().items())


def test_learning_lowers_the_loss(build: Build) -> None:
    """Law: on one batch shown again and again the error falls by more than a tenth."""
    trainer = build(steps=12)
    pair = trainer.pair(0)

    losses = [trainer.train_step(pair) for _ in range(12)]

    assert losses[-1] < 0.9 * losses[0]


def test_scale_equals_naive_errors() -> None:
    """Reference: the docstring's formula in NumPy, float64; rtol 1e-12."""
    rng = np.random.default_rng(0)
    clean = [rng.normal(size=(3, c, 4, 5)) for c in (2, 6)]
    features = [f + rng.normal(size=f.shape) for f in clean]
    variance = [rng.uniform(0.5, 3, size=c) for c in (2, 6)]
    ungated = [1.7, 0.4]
    expected = [
        np.mean([np.mean((h[:, c] - f[:, c]) ** 2) / v[c] for c in range(len(v))])
        for h, f, v in zip(features, clean, variance, strict=True)
    ]
    scale = Scale([torch.tensor(v) for v in variance], [torch.tensor(e) for e in ungated])
    tensors = [[torch.tensor(t) for t in side] for side in (features, clean)]

    errors, ratios = scale.errors(*tensors), scale.ratios(*tensors)

    np.testing.assert_allclose(errors.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(ratios.numpy(), np.divide(expected, ungated), rtol=1e-6)


def test_measured_scale_equals_naive_moments(build: Build, crops: Crops, pairs: list[Pair]) -> None:
    """Reference: variance, squeeze moments and ungated error of the sample, in NumPy."""
    trainer = build(crops(8, 48))
    clean, corrupted = (torch.cat(side) for side in zip(*pairs, strict=True))
    with torch.no_grad():
        wanted, actual = trainer.trunk.features(clean), trainer.trunk.features(corrupted)

    for index, (f, h) in enumerate(zip(wanted, actual, strict=True)):
        variance = f.double().numpy().var(axis=(0, 2, 3))
        error = np.square((h - f).double().numpy()).mean(axis=(0, 2, 3)) / variance
        np.testing.assert_allclose(trainer.scale.variance[index], variance, rtol=1e-3)
        np.testing.assert_allclose(trainer.scale.ungated_error[index], error.mean(), rtol=1e-3)
    gate = trainer.gated.get_submodule("blocks.0.gate.excite")  # no skip: its input is f itself
    squeeze = wanted[0].mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(gate.get_buffer("mean"), squeeze.mean(0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(gate.get_buffer("deviation"), squeeze.std(0, ddof=1), rtol=1e-3)


def test_an_epoch_shows_every_image_once(build: Build) -> None:
    """Law: the batches of an epoch are all images, mirrored or not, in an order of its own."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 32, 32, 3), np.uint8)
    trainer = build(images, batch=2)
    sides = np.stack([images, images[:, :, ::-1]])
    known = [[to_batch(side[i : i + 1])[0] for side in sides] for i in range(8)]
    orders = []
    for epoch in range(2):
        seen = torch.cat([trainer.pair(4 * epoch + step)[0] for step in range(4)])
        orders.append(
            [next(i for i in range(8) if any(torch.equal(x, k) for k in known[i])) for x in seen]
        )

    assert sorted(orders[0]) == sorted(orders[1]) == list(range(8))
    assert orders[0] != orders[1]


def test_pairs_follow_seed_and_step(build: Build) -> None:
    """Law: a batch depends on seed and step, not on what was asked before."""
    one, other = build(), build()
    one.pair(0), one.pair(3)

    for ours, theirs in zip(one.pair(2), other.pair(2), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(one.pair(2)[1], one.pair(1)[1])
