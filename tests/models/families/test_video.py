"""Networks for clips: gates of the clip, and gates of every frame, smoothed."""

import pytest
import torch

from models.families.video import FrameExcitation, FrameSqueeze, VideoNetwork
from models.pooling import Packing
from models.smoothing import smooth
from models.squeeze_excite import Excitation, SqueezeExcite
from models.taps import Tapped


def frames_block(penalty: float, channels: int = 8) -> SqueezeExcite:
    """A block with gates for every frame, in float64."""
    torch.manual_seed(0)
    excite = FrameExcitation(channels, 2, penalty=penalty)
    return SqueezeExcite(channels, squeeze=FrameSqueeze(), excite=excite).double()


def clip(samples: int = 2, channels: int = 8, frames: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(samples, channels, frames, 4, 3, generator=generator, dtype=torch.float64)


def test_without_penalty_every_frame_is_an_image() -> None:
    """Reference: with lambda = 0 each frame comes out as the plain block makes it of an image."""
    block, x = frames_block(0.0), clip()
    plain = SqueezeExcite(8, 2).double()
    plain.load_state_dict(block.state_dict())

    y = block(x)

    for t in range(5):
        torch.testing.assert_close(y[:, :, t], plain(x[:, :, t]), rtol=1e-12, atol=1e-14)


def test_gates_are_the_smoothed_gates_of_the_frames() -> None:
    """Reference: squeeze, excitation and smoothing one after another, a frame at a time."""
    block, x = frames_block(3.0), clip()
    plain = Excitation(8, 2).double()
    plain.load_state_dict(block.excite.state_dict())

    apart = torch.stack([plain(x[:, :, t].mean(dim=(2, 3))) for t in range(5)], dim=2)

    gates = smooth(apart, 3.0)
    torch.testing.assert_close(block.excite(block.squeeze(x)), gates, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(block(x), x * gates[..., None, None], rtol=1e-12, atol=1e-14)


def test_an_endless_penalty_gives_one_gate_a_clip() -> None:
    """Law: lambda -> inf tends to the mean of the frames' gates, all frames gated alike."""
    x = clip()
    apart, together = (
        block.excite(block.squeeze(x)) for block in (frames_block(0.0), frames_block(1e12))
    )

    mean = apart.mean(dim=2, keepdim=True).expand_as(apart)
    assert (apart - mean).abs().max() > 1e-3
    torch.testing.assert_close(together, mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("penalty", [0.0, 0.5, 50.0])
def test_gates_flicker_the_less_the_larger_the_penalty(penalty: float) -> None:
    """Law: more lambda, smaller differences between frames; gates stay in (0, 1)."""
    x = clip(frames=12)
    less, more = (
        block.excite(block.squeeze(x)) for block in map(frames_block, (penalty, 2 * penalty + 1))
    )

    assert more.diff(dim=2).square().sum() < less.diff(dim=2).square().sum()
    assert 0 < more.min() <= more.max() < 1


@pytest.mark.parametrize("weighted", [False, True])
def test_squeeze_of_frames_equals_naive_twin(weighted: bool) -> None:
    """Reference: every frame of every sample by itself; weights (b, t, h, w)."""
    x = clip()
    where = torch.rand(2, 5, 4, 3, dtype=torch.float64) if weighted else None

    squeeze = FrameSqueeze()(x, where)

    w = torch.ones(2, 5, 4, 3).double() if where is None else where
    for b, c, t in [(0, 0, 0), (1, 7, 4), (1, 3, 2)]:
        expected = (w[b, t] * x[b, c, t]).sum() / w[b, t].sum()
        torch.testing.assert_close(squeeze[b, c, t], expected, rtol=1e-12, atol=1e-14)


def test_context_is_that_of_the_sample() -> None:
    """Law: the context of one sample reaches its own frames and no others."""
    torch.manual_seed(2)
    excite = FrameExcitation(8, 2, penalty=1.0)
    excite.context, excite.reduce = 3, torch.nn.Linear(8 + 3, 4)
    s, context = torch.randn(2, 8, 5), torch.randn(2, 3)
    other = context.clone()
    other[1] += 5

    before, after = excite(s, context), excite(s, other)

    assert torch.equal(before[0], after[0])
    assert (before[1] != after[1]).any(dim=0).all()


@pytest.mark.parametrize("penalty", [None, 2.0])
def test_taps_hold_one_row_a_clip(penalty: float | None) -> None:
    """Contract: gates (b, c) of every block; of the frames' gates the mean over time."""
    torch.manual_seed(3)
    network = VideoNetwork((8, 16), penalty=penalty).eval()
    x = torch.randn(3, 3, 4, 16, 16)
    with torch.no_grad():
        stage = network.stages[0]
        given = torch.relu(stage.norm(stage.conv(x)))
        gate = stage.gate.excite(stage.gate.squeeze(given))
        taps = Tapped(network)(x)

    assert {name: tap.gate.shape for name, tap in taps.blocks.items()} == {
        "stages.0": (3, 8),
        "stages.1": (3, 16),
    }
    expected = gate if penalty is None else gate.mean(dim=2)
    torch.testing.assert_close(taps.blocks["stages.0"].gate, expected)
    torch.testing.assert_close(taps.blocks["stages.0"].mean, given.mean(dim=(2, 3, 4)))


def test_stages_keep_every_frame() -> None:
    """Contract: pixels are halved by each stage, frames are not; odd sides are rounded up."""
    network = VideoNetwork((8, 16), reduction=8, classes=7)

    assert network.forward_features(torch.randn(2, 3, 5, 17, 16)).shape == (2, 16, 5, 5, 4)
    assert network(torch.randn(2, 3, 5, 17, 16)).shape == (2, 7)


@pytest.mark.parametrize("penalty", [None, 1.0])
def test_without_se_the_rest_is_the_same(penalty: float | None) -> None:
    """Law: leaving SE out takes away the blocks' parameters, and nothing else."""
    gated, plain = VideoNetwork(penalty=penalty).state_dict(), VideoNetwork(se=False).state_dict()

    assert {key for key in gated if ".gate." not in key} == set(plain)
    assert len(gated) == len(plain) + 3 * 4


def test_exports_with_any_batch() -> None:
    """Contract: torch.export with a dynamic batch; the program's outputs are the network's."""
    network = VideoNetwork((8,), penalty=1.0).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    x = torch.randn(2, 3, 4, 8, 8)

    program = torch.export.export(network, (x,), dynamic_shapes=({0: batch},)).module()

    other = torch.randn(5, 3, 4, 8, 8)
    torch.testing.assert_close(program(other), network(other))


@pytest.mark.parametrize(
    ("widths", "settings", "message"),
    [
        ((), {}, r"must be a width.*\(\)"),
        ((8, 0), {}, r"1 or more, got widths \(8, 0\) and 10 classes"),
        ((8,), {"classes": 0}, r"1 or more, got widths \(8,\) and 0 classes"),
        ((8,), {"reduction": 9}, r"1\.\.8 .* got 9"),
        ((8,), {"reduction": 9, "penalty": 1.0}, r"1\.\.8 .* got 9"),
        ((8,), {"penalty": -1.0}, r"0 or more, got -1"),
    ],
)
def test_impossible_sizes_are_refused(
    widths: tuple[int, ...], settings: dict[str, int], message: str
) -> None:
    """Contract: the error names what was given and what is possible."""
    with pytest.raises(ValueError, match=message):
        VideoNetwork(widths, **settings)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 4, 4, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names the wanted and the given shape."""
    with pytest.raises(ValueError, match=r"\(b, 3, t, h, w\), got \(2, "):
        VideoNetwork((8,))(torch.zeros(shape))


def test_weights_of_frames_in_another_order_are_refused() -> None:
    """Contract: frames and samples are not taken for one another."""
    with pytest.raises(ValueError, match=r"shape \(2, 3, 5, 5\), got \(3, 2, 5, 5\)"):
        FrameSqueeze()(torch.zeros(2, 4, 3, 5, 5), torch.ones(3, 2, 5, 5))


def test_what_has_no_frames_is_refused() -> None:
    """Contract: neither (b, c, t) nor packed rows have frames of places."""
    with pytest.raises(ValueError, match=r"\(b, c, t, \*places\), got \(2, 8, 5\)"):
        FrameSqueeze()(torch.zeros(2, 8, 5))
    packing = Packing.of(torch.tensor([2, 3]), 5)
    with pytest.raises(ValueError, match="got packed rows"):
        FrameSqueeze()(torch.zeros(5, 8), packing)
