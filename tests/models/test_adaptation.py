"""Adapting gates: what stays, what is learnt, when it ends."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import adaptation
from models.adaptation import BATCH, PATIENCE, Adapter, centre, shrink, spoilt_pair
from models.checkpoints import save_gates
from models.gate_training import to_batch
from models.se_lite0 import SeLite0, se_lite0
from models.squeeze_excite import Excitation

Images = NDArray[np.uint8]
Crops = Callable[[int, int], Images]


@pytest.fixture
def images(crops: Crops) -> Images:
    return crops(24, 48)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of two steps."""
    monkeypatch.setattr(adaptation, "STEPS", 2)
    monkeypatch.setattr(adaptation, "ROUNDS", 4)


def nothing(_done: int) -> None:
    pass


def test_centred_gate_is_what_it_was() -> None:
    """Law: another standardisation, the same gates; the squeezes then have mean 0, deviation 1."""
    torch.manual_seed(0)
    gate = Excitation(12, 4, standardise=True)
    gate.mean.copy_(torch.randn(12))
    gate.deviation.copy_(torch.rand(12) + 0.5)
    squeezes = gate.mean + 3 + 0.2 * torch.randn(50, 12) * gate.deviation
    squeezes[:, 0] = 2.0  # a channel that does not vary
    with torch.no_grad():
        before = gate(squeezes)

        centre(gate, squeezes)

        torch.testing.assert_close(gate(squeezes), before, rtol=1e-5, atol=1e-6)
    z = (squeezes - gate.mean) / gate.deviation
    assert z.mean(dim=0).abs().max() < 1e-4
    torch.testing.assert_close(z[:, 1:].std(dim=0), torch.ones(11))
    assert gate.deviation[0] > 0


def test_adapter_begins_with_the_gates_it_is_given(images: Images, gated: SeLite0) -> None:
    """Law: before the first step the network's features are the shipped network's."""
    adapter = Adapter(images)
    x = to_batch(images[:3])

    with torch.no_grad():
        for mine, shipped in zip(adapter.network.features(x), gated.features(x), strict=True):
            torch.testing.assert_close(mine, shipped, rtol=1e-3, atol=1e-3)


def test_loss_of_identity_gates_is_one(images: Images, tmp_path: Path) -> None:
    """Reference: gates that change nothing leave the trunk's error as it is, block by block."""
    save_gates(se_lite0(trained=False), tmp_path / "identity.safetensors", {})

    adapter = Adapter(images, gates=tmp_path / "identity.safetensors")

    assert adapter.loss() == pytest.approx(1, rel=1e-4)


@pytest.mark.usefixtures("short")
def test_training_lowers_the_loss_and_moves_gates_alone(images: Images, gated: SeLite0) -> None:
    """Contract: the best round is what is left, and the trunk is not touched."""
    ticks: list[int] = []
    adapter = Adapter(images)

    losses = adapter.train(ticks.append)

    assert min(losses) < losses[0]
    assert adapter.loss() == pytest.approx(min(losses), rel=1e-6)
    assert sum(ticks) == 2 * (len(losses) - 1)
    state, shipped = adapter.network.state_dict(), gated.state_dict()
    for name in state:
        if ".gate." not in name:
            assert torch.equal(state[name], shipped[name]), name


@pytest.mark.usefixtures("short")
def test_same_seed_same_gates(images: Images) -> None:
    """Law: the seed decides everything; another seed gives other gates."""
    adapters = [Adapter(images, seed=seed) for seed in (5, 5, 6)]
    losses = [adapter.train(nothing) for adapter in adapters]
    one, again, other = (adapter.network.state_dict() for adapter in adapters)

    assert losses[0] == losses[1] != losses[2]
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("losses", "rounds", "best"),
    [
        ([1.0, 1.1, 1.2, 0.5], PATIENCE, 0),
        ([1.0, 0.9, 1.0, 1.0, 0.5], 1 + PATIENCE, 1),
        ([1.0, 1.1, 0.9, 0.8, 0.7], 4, 4),
    ],
)
def test_training_ends_when_it_helps_no_more(
    images: Images, monkeypatch: pytest.MonkeyPatch, losses: list[float], rounds: int, best: int
) -> None:
    """Contract: two rounds without gain end it, and the best gates come back."""
    states, coming = [], iter(losses)
    adapter = Adapter(images)

    def loss(self: Adapter) -> float:
        states.append({k: v.clone() for k, v in self.network.state_dict().items()})
        return next(coming)

    monkeypatch.setattr(Adapter, "loss", loss)

    assert adapter.train(nothing) == losses[: rounds + 1]
    kept = adapter.network.state_dict()
    assert all(torch.equal(kept[name], states[best][name]) for name in kept)
    assert any(not torch.equal(kept[name], states[best - 1][name]) for name in kept)


def test_too_few_images_are_refused(crops: Crops) -> None:
    """Contract: a handful of pictures is no normal state."""
    with pytest.raises(ValueError, match="16 images or more"):
        Adapter(crops(15, 48))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((256, 256), (160, 160)),
        ((200, 400), (160, 320)),
        ((160, 500), (160, 500)),
        ((64, 64), (64, 64)),
    ],
)
def test_large_images_shrink(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    """Contract: the short side becomes 160 px at most; the proportions stay."""
    image = np.full((2, *shape, 3), 77, np.uint8)

    small = shrink(image)

    assert small.shape == (2, *expected, 3)
    assert np.all(small == 77)


def test_spoilt_pair_holds_the_clean_images(images: Images) -> None:
    """Contract: the clean half is the images, the other nearly always something else."""
    clean, spoilt = spoilt_pair(images[:BATCH], np.random.default_rng(0))

    assert torch.equal(clean, to_batch(images[:BATCH]))
    differs = (clean != spoilt).flatten(1).any(dim=1)
    assert differs.float().mean() > 0.7
