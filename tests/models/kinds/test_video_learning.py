"""The network of clips: its motion, its batches, its task."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kinds.clips import ClipPreparation
from models.kinds.video_learning import (
    WAYS,
    ClipNetwork,
    PaceOfTime,
    changes_of_frames,
    motion,
    motion_of_frames,
    order,
    shown,
)
from models.plan import Plan
from models.self_supervision import train
from models.taps import Tapped


def drifting(speed: float, frames: int = 8, side: int = 32) -> torch.Tensor:
    """A smooth wave that goes to the right by ``speed`` pixels a frame, (1, 3, t, h, w)."""
    at = torch.arange(side, dtype=torch.float32)
    rows = torch.stack([torch.sin((at - speed * i) * 0.4) for i in range(frames)])
    return rows[None, None, :, None, :].expand(1, 3, -1, side, -1).contiguous()


def network(seed: int = 0) -> ClipNetwork:
    torch.manual_seed(seed)
    return ClipNetwork((8, 12), penalty=1.0).eval()


@pytest.mark.parametrize("speed", [0.2, -0.2, 0.4])
def test_flow_is_the_speed_with_its_sign(speed: float) -> None:
    """Reference: a wave's known speed; where it is steep the flow is within a fifth of it."""
    x = drifting(speed)
    moved = motion(x)
    steep = (x[:, :1, 1:, :, 2:] - x[:, :1, 1:, :, :-2]).abs() > 0.75
    flow = moved[:, 1:2, 1:, :, 1:-1][steep]
    assert (flow * np.sign(speed)).min() > 0
    assert flow.mean() == pytest.approx(speed * 0.7, rel=0.25)  # epsilon holds it back
    assert moved[:, 2].abs().max() == 0


def test_motion_is_naively_so() -> None:
    """Reference: a naive twin in NumPy, pixel by pixel."""
    x = torch.randn(1, 3, 5, 6, 7, dtype=torch.float64)
    y = x[0].mean(dim=0).numpy()
    moved = motion(x)[0].numpy()
    for i, u, v in [(1, 2, 3), (4, 5, 6), (0, 0, 0), (2, 0, 6)]:
        step = y[max(i, 1), u, v] - y[max(i, 1) - 1, u, v]
        before = y[max(i, 2) - 1, u, v] - y[max(i, 2) - 2, u, v]
        later = y[max(i, 2), u, v] - y[max(i, 2) - 1, u, v]
        change = 0.0 if i < 1 else abs(later - before)
        if i < 2:  # the first two steps are the same one
            change = 0.0
        across = (y[i, u, min(v + 1, 6)] - y[i, u, max(v - 1, 0)]) / 2
        down = (y[i, min(u + 1, 5), v] - y[i, max(u - 1, 0), v]) / 2
        flow = -step / (across**2 + down**2 + 0.1)
        wanted = [abs(step), flow * across, flow * down, change]
        np.testing.assert_allclose(moved[:, i, u, v], wanted, rtol=1e-9, atol=1e-12)


def test_what_is_told_of_frames_is_of_frames() -> None:
    """Law: changing a frame changes what is told of it and just after it, and nothing before."""
    x = torch.randn(1, 3, 12, 16, 16)
    other = x.clone()
    other[:, :, 6] += torch.randn(3, 16, 16)
    differs = (motion_of_frames(motion(x)) != motion_of_frames(motion(other))).any(dim=1)[0]
    assert differs.tolist() == [at in (6, 7, 8, 9) for at in range(12)]
    differs = (changes_of_frames(x) != changes_of_frames(other)).any(dim=1)[0]
    assert differs.tolist() == [at in (6, 7, 8) for at in range(12)]


def test_a_clip_in_a_batch_is_as_alone() -> None:
    """Law: taps of clips of several lengths are those of each alone, within float32's rounding."""
    tapped, preparation = Tapped(network()), ClipPreparation(16)
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8) for n in (9, 4, 6, 9)]
    with torch.no_grad():
        together = tapped(*preparation.inputs(clips, torch.device("cpu"))[0])
        for row, clip in enumerate(clips):
            alone = tapped(*preparation.inputs([clip], torch.device("cpu"))[0])
            for name, tap in alone.blocks.items():
                for statistic in ("gate", "mean", "std", "maximum"):
                    got = getattr(together.blocks[name], statistic)[row]
                    torch.testing.assert_close(
                        got, getattr(tap, statistic)[0], rtol=1e-3, atol=1e-4
                    )


def test_the_blocks_and_their_places() -> None:
    """Contract: motion and changes have a place a frame, stages a place a pixel of each."""
    seen: dict[str, tuple[int, ...]] = {}
    tapped = Tapped(network())
    with torch.no_grad():
        tapped(torch.randn(2, 3, 7, 16, 16), watch=lambda n, x, _: seen.update({n: x.shape}))
    assert seen == {
        "motion": (2, 20, 7),
        "changes": (2, 12, 7),
        "stages.0": (2, 8, 7, 8, 8),
        "stages.1": (2, 12, 7, 4, 4),
    }


def numbered(lengths: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips whose every frame holds its number, from 1 on."""
    longest = max(lengths)
    where = (torch.arange(longest)[None] < torch.tensor(lengths)[:, None]).float()
    x = torch.arange(1.0, longest + 1)[None, None, :, None, None].repeat(len(lengths), 3, 1, 2, 2)
    return x * where[:, None, :, None, None], where


def is_shown(way: str, numbers: list[int]) -> bool:
    """Whether frames of these numbers are a clip's in one of the ways; a naive twin."""
    steps = [b - a for a, b in pairwise(numbers)]
    pauses = steps.index(0) if 0 in steps else 0
    return {
        "as it is": set(steps) == {1},
        "backwards": set(steps) == {-1},
        "fast": set(steps) == {2},
        "slow": steps == [0, 1] * (len(steps) // 2) + [0] * (len(steps) % 2),
        "out of order": sorted(numbers) == list(range(min(numbers), max(numbers) + 1)),
        "with a pause": set(steps) == {0, 1} and steps[pauses : pauses + 2] == [0, 0],
    }[way]


def test_clips_are_shown_as_they_are_said_to_be() -> None:
    """Reference: a naive twin tells every way; all frames are the clip's own; rng alone draws."""
    inputs = numbered((16, 19, 30, 16))
    seen = set()
    for seed in range(30):
        clips, ways = shown(inputs, 8, torch.Generator().manual_seed(seed))
        again = shown(inputs, 8, torch.Generator().manual_seed(seed))
        assert torch.equal(clips, again[0])
        assert torch.equal(ways, again[1])
        for clip, way, length in zip(clips, ways, (16, 19, 30, 16), strict=True):
            numbers = clip[0, :, 0, 0].int().tolist()
            assert len(numbers) == 8
            assert all(1 <= number <= length for number in numbers)
            assert is_shown(WAYS[int(way)], numbers), (WAYS[int(way)], numbers)
            seen.add(int(way))
    assert seen == set(range(len(WAYS)))


@pytest.mark.parametrize("lengths", [(4, 4), (4, 30), (5, 7), (8, 9)])
def test_short_clips_are_shown_too(lengths: tuple[int, int]) -> None:
    """Law: of clips too short for all ways, four frames or more, and never from behind an end."""
    for seed in range(20):
        clips, _ = shown(numbered(lengths), 16, torch.Generator().manual_seed(seed))
        assert clips.shape[2] == max(min(lengths) // 2, 4)
        for clip, length in zip(clips, lengths, strict=True):
            assert 1 <= clip.min() <= clip.max() <= length


@settings(max_examples=50)
@given(st.integers(0, len(WAYS) - 1), st.integers(4, 64), st.integers(0, 2**31))
def test_an_order_begins_at_its_first_frame(way: int, frames: int, seed: int) -> None:
    """Property: as many frames as wanted, from 0 on, no more than twice as far."""
    at = order(way, frames, torch.Generator().manual_seed(seed))
    assert len(at) == frames
    assert at.min() == 0
    assert at.max() < 2 * frames


def test_training_tells_the_ways_apart() -> None:
    """Law: of waves that go one way, training takes the loss to under 0.8 of guessing's."""
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(24):
        wave = drifting(0.8 * rng.uniform(0.8, 1.2), 20, 16)[0].numpy()
        clip = (127 + 80 * np.roll(wave, rng.integers(16), axis=3)).astype(np.uint8)
        samples.append(np.ascontiguousarray(clip.transpose(1, 2, 3, 0)))
    torch.manual_seed(0)
    report = train(
        PaceOfTime(ClipNetwork((8, 12), penalty=1.0), 8),
        ClipPreparation(16),
        samples,
        device=torch.device("cpu"),
        plan=Plan(batch=8, steps=40, rounds=2, rate=5e-3),
    )
    assert min(report.losses) < 0.8 * np.log(len(WAYS))


@pytest.mark.parametrize("arguments", [{"penalty": -1.0}, {"widths": (2,)}])
def test_networks_that_cannot_be_are_refused(arguments: dict[str, object]) -> None:
    """Contract: a ValueError, as of the blocks it is built of."""
    with pytest.raises(ValueError, match=r"penalty|reduction"):
        ClipNetwork(**arguments)  # type: ignore[arg-type]
