"""Bands over time: a clip is heard in company as alone; standard bands; changes of sound."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kinds.band_network import BandNetwork, FrameNorm, group_sizes
from models.kinds.sound_changes import CHANGES, MOST_FRAMES, SoundChanges, changed
from models.kinds.standard_spectrogram import StandardLogMel, bels, levels
from models.spectrogram import LogMel

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_padding_of_any_value_changes_nothing() -> None:
    """Law: batch = alone, in features; float32, 1e-5."""
    torch.manual_seed(0)
    network = BandNetwork(32, groups=4).eval()
    x, weights = torch.randn(3, 32, 20), torch.ones(3, 20)
    weights[1, 7:], weights[2, 1:] = 0, 0
    together = network(x, weights)

    for row, length in enumerate((20, 7, 1)):
        alone = network(x[row : row + 1, :, :length], torch.ones(1, length))
        torch.testing.assert_close(together[row : row + 1, :, :length], alone, atol=1e-5, rtol=1e-5)
        assert not together[row, :, length:].any()


def test_norm_equals_torchs_over_the_frames_that_count() -> None:
    """Reference: torch's batch normalisation of those frames alone, its running values as well."""
    x, weights = torch.randn(4, 6, 9) * 3 + 1, (torch.rand(4, 9, generator=generator()) < 0.6) * 1.0
    ours, theirs = FrameNorm(6), torch.nn.BatchNorm1d(6)

    actual = ours(x, weights).transpose(1, 2)[weights > 0]

    torch.testing.assert_close(actual, theirs(x.transpose(1, 2)[weights > 0]))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_shapes_and_sizes_are_checked() -> None:
    """Contract: the error names what is wanted and what was given."""
    network = BandNetwork(32)
    with pytest.raises(ValueError, match=r"\(b, 32, t\), got \(1, 31, 5\)"):
        network(torch.zeros(1, 31, 5), torch.ones(1, 5))
    with pytest.raises(ValueError, match=r"weights must have shape \(1, 5\)"):
        network(torch.zeros(1, 32, 5), torch.ones(1, 4))
    with pytest.raises(ValueError, match="9 groups of 32 mels"):
        BandNetwork(32, groups=9)
    assert group_sizes(33, 4) == [8, 8, 8, 9]


def test_standard_bands() -> None:
    """Law: over the frames it was made of, every band has mean 0, deviation 1; a reference."""
    logmel, rng = LogMel(16_000, 512, 256, 40), np.random.default_rng(0)
    waves = [rng.standard_normal(n).astype(np.float32) for n in (4000, 9000)]
    clips = [bels(wave, logmel, loudness=True) for wave in waves]
    mean, deviation = levels(clips)
    frames = np.concatenate(clips, axis=1)

    np.testing.assert_allclose(mean, frames.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(deviation, frames.std(axis=1), atol=1e-5)
    preparation = StandardLogMel(logmel, True, tuple(mean.tolist()), tuple(deviation.tolist()))
    z = np.concatenate([preparation.prepare(wave) for wave in waves], axis=1)
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=1), 1, atol=1e-4)
    assert str(preparation) != str(StandardLogMel(logmel, False, *[tuple(mean.tolist())] * 2))
    with pytest.raises(ValueError, match="40 bands"):
        StandardLogMel(logmel, True, (0.0,), (1.0,))
    with pytest.raises(ValueError, match="no clip"):
        levels([])


def test_loud_is_twenty_decibels_for_ten_times() -> None:
    """Reference: ten times the amplitude is 2 bels more, far above the floor."""
    logmel = LogMel()
    wave = 0.01 * np.random.default_rng(0).standard_normal(3000)

    np.testing.assert_allclose(logmel.loud(10 * wave, 8000) - logmel.loud(wave, 8000), 2, atol=1e-2)


@settings(max_examples=60)
@given(
    change=st.sampled_from(CHANGES),
    mels=st.integers(8, 64),
    frames=st.integers(1, 40),
    seed=st.integers(0, 2**31),
)
def test_changes(change: str, mels: int, frames: int, seed: int) -> None:
    """Property: finite, of as many bands, and what the change says it is."""
    clip = torch.randn(mels, frames, generator=generator(seed))
    done = changed(clip, change, generator(seed))

    assert done.shape[0] == mels
    assert done.isfinite().all()
    if change == "reversed":
        assert done.flip(1).equal(clip)
    elif change == "shuffled":
        assert done.sort(dim=1).values.equal(clip.sort(dim=1).values)
    elif change == "raised":
        by = next(by for by in range(1, mels) if done[by:].equal(clip[:-by]))
        assert 2 <= by <= max(mels // 8, 3)
    elif change == "lowered":
        assert any(done[:-by].equal(clip[by:]) for by in range(2, max(mels // 8, 3) + 1))
    elif change == "slowed":
        assert 1.25 * frames - 1 <= done.shape[1] <= 1.6 * frames + 1
    elif change == "hurried":
        assert max(frames / 1.6 - 1, 1) <= done.shape[1] <= max(frames / 1.25 + 1, 1)
    elif change == "tilted":
        assert abs(float((done - clip)[0, 0])) >= 0.5
        torch.testing.assert_close(done[0] - clip[0], clip[-1] - done[-1], atol=1e-5, rtol=1e-5)


def test_an_unknown_change_is_refused() -> None:
    """Contract: the error names those there are."""
    with pytest.raises(ValueError, match="there is: none, reversed"):
        changed(torch.zeros(8, 4), "muted", generator())


def test_loss_is_drawn_from_the_generator_alone_and_can_be_learned() -> None:
    """Law: the same state gives the same loss, another does not; steps lower it; long clips fit."""
    torch.manual_seed(0)
    task = SoundChanges(BandNetwork(32, width=16))
    rows = torch.sin(torch.arange(MOST_FRAMES + 50) * torch.linspace(0.1, 0.3, 32)[:, None])
    inputs = rows.expand(8, -1, -1).clone(), torch.ones(8, rows.shape[1])
    with torch.no_grad():
        task.eval()
        first = task.loss(inputs, generator(1))
        assert task.loss(inputs, generator(1)) == first
        assert task.loss(inputs, generator(2)) != first
    optimiser = torch.optim.Adam(task.parameters(), lr=3e-3)
    task.train()
    for step in range(25):
        optimiser.zero_grad()
        task.loss(inputs, generator(step)).backward()
        optimiser.step()
    task.eval()
    with torch.no_grad():
        assert task.loss(inputs, generator(1)) < 0.9 * first


def test_what_is_hidden_is_hidden() -> None:
    """Law: the network never sees what it is to restore; what is asked is asked there alone."""
    seen: list[torch.Tensor] = []
    network = BandNetwork(32, width=16)
    task = SoundChanges(network).eval()
    network.bands[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.nn.init.zeros_(task.what.weight)
    assert task.what.bias is not None
    torch.nn.init.zeros_(task.what.bias)
    clips = [torch.full((32, 40), 3.0) for _ in range(4)]

    with torch.no_grad():
        loss = task._restoration(clips, generator())

    (x,) = seen
    assert set(x.unique().tolist()) == {0.0, 3.0}
    assert 0.3 < float((x == 0).float().mean()) < 0.8
    assert float(loss) == pytest.approx(9)
