"""The network for spectrograms: padding changes nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.families.audio import AudioNetwork, AudioStage
from models.taps import Tapped


def network(**chosen: object) -> AudioNetwork:
    """A network in float64 and evaluation mode whose normalisation is not the default one."""
    torch.manual_seed(0)
    made = AudioNetwork((8, 16), **chosen).double().eval().requires_grad_(False)  # type: ignore[arg-type]
    for stage in made.stages:
        assert isinstance(stage, AudioStage)
        stage.norm.bias.normal_()
        stage.norm.running_mean.normal_()  # type: ignore[union-attr]
        stage.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return made


def clips(samples: int, bins: int, frames: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 1, bins, frames, generator=generator, dtype=torch.float64)


def padded(
    x: torch.Tensor, more_frames: int, more_bins: int = 0, value: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clips with padding behind, and the weights that say so."""
    weights = torch.ones(x.shape[0], *x.shape[2:], dtype=x.dtype)
    pad = (0, more_frames, 0, more_bins)
    return (
        torch.nn.functional.pad(x, pad, value=value),
        torch.nn.functional.pad(weights, pad),
    )


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**31),
    bins=st.integers(1, 12),
    frames=st.integers(1, 14),
    more=st.integers(0, 9),
    value=st.sampled_from([0.0, 1e3, float("nan")]),
    se=st.booleans(),
)
def test_padding_changes_nothing(
    seed: int, bins: int, frames: int, more: int, value: float, se: bool
) -> None:
    """Law: logits and gates of a padded clip are those of the clip alone, whatever pads it.

    Of every length, odd or even; float64, 1e-12.
    """
    net, x = network(se=se), clips(2, bins, frames, seed)

    alone = net(x)
    with_padding = net(*padded(x, more, value=value))

    torch.testing.assert_close(with_padding, alone, rtol=1e-12, atol=1e-12)
    if se:
        tapped = Tapped(net)
        before, after = tapped(x), tapped(*padded(x, more, value=value))
        for name, tap in before.blocks.items():
            for of in ("gate", "mean", "maximum"):
                torch.testing.assert_close(
                    getattr(after.blocks[name], of), getattr(tap, of), rtol=1e-12, atol=1e-12
                )


def test_bins_may_be_padded_as_frames() -> None:
    """Law: both axes are alike; the output is 0 in the padding."""
    net, x = network(), clips(1, 7, 9)

    features = net.forward_features(*padded(x, 6, 5))

    torch.testing.assert_close(net(*padded(x, 6, 5)), net(x), rtol=1e-12, atol=1e-12)
    assert features.shape[2:] == (3, 4)
    torch.testing.assert_close(features[:, :, :2, :3], net.forward_features(x))
    assert not features[:, :, 2:].any()
    assert not features[:, :, :, 3:].any()


def test_without_weights_padding_would_change_the_logits() -> None:
    """Law: the test above can fail: zeros that are not said to be padding are heard."""
    net, x = network(), clips(2, 8, 9)

    assert (net(padded(x, 7)[0]) - net(x)).abs().max() > 1e-3


@pytest.mark.parametrize("lengths", [(3, 16, 9), (1, 2, 16)])
def test_a_batch_of_lengths_is_as_each_alone(lengths: tuple[int, ...]) -> None:
    """Law: batch = alone, for clips of several lengths padded to the longest."""
    net = network()
    alone = [clips(1, 8, length, seed=length) for length in lengths]
    rows = [padded(x, 16 - x.shape[3]) for x in alone]

    together = net(torch.cat([x for x, _ in rows]), torch.cat([w for _, w in rows]))

    for logits, x in zip(together, alone, strict=True):
        torch.testing.assert_close(logits[None], net(x), rtol=1e-12, atol=1e-12)


def test_weights_of_one_are_no_weights_and_their_scale_is_nothing() -> None:
    """Law: all-ones weights equal none; all of them times 3 changes nothing."""
    net, x = network(), clips(2, 9, 11)
    weights = torch.ones(2, 9, 11, dtype=torch.float64)

    for scaled in (weights, 3 * weights):
        torch.testing.assert_close(net(x, scaled), net(x), rtol=1e-12, atol=1e-12)


def test_what_weighs_more_counts_more() -> None:
    """Law: beyond padding, the weights say how much a frame counts in every squeeze."""
    net, x = network(), clips(1, 8, 16)
    weights = torch.ones(1, 8, 16, dtype=torch.float64)
    weights[:, :, :8] = 0.25

    assert (net(x, weights) - net(x)).abs().max() > 1e-4


def test_without_se_the_rest_is_the_same() -> None:
    """Law: leaving SE out takes away the blocks' parameters, and nothing else."""
    gated, plain = AudioNetwork().state_dict(), AudioNetwork(se=False).state_dict()

    assert {key for key in gated if ".gate." not in key} == set(plain)
    assert len(gated) == len(plain) + 3 * 4


@pytest.mark.parametrize("weighted", [False, True])
def test_exports_with_any_batch(weighted: bool) -> None:
    """Contract: torch.export with a dynamic batch; the program's outputs are the network's."""
    net = network()
    batch = torch.export.Dim("batch", min=1, max=64)
    given, other = (
        padded(clips(samples, 8, 9), 3) if weighted else (clips(samples, 8, 9),)
        for samples in (2, 5)
    )

    program = torch.export.export(net, given, dynamic_shapes=({0: batch},) * len(given)).module()

    torch.testing.assert_close(program(*other), net(*other))


@pytest.mark.parametrize(
    ("widths", "chosen", "message"),
    [
        ((), {}, r"must be a width.*\(\)"),
        ((8, -1), {}, r"1 or more, got widths \(8, -1\) and 10 classes"),
        ((8,), {"classes": 0}, r"1 or more, got widths \(8,\) and 0 classes"),
        ((8,), {"reduction": 9}, r"1\.\.8 .* got 9"),
    ],
)
def test_impossible_sizes_are_refused(
    widths: tuple[int, ...], chosen: dict[str, int], message: str
) -> None:
    """Contract: the error names what was given and what is possible."""
    with pytest.raises(ValueError, match=message):
        AudioNetwork(widths, **chosen)


@pytest.mark.parametrize("shape", [(2, 8, 9), (2, 3, 8, 9)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names the wanted and the given shape."""
    with pytest.raises(ValueError, match=r"\(b, 1, f, t\), got \(2, "):
        AudioNetwork((8,))(torch.zeros(shape))


def test_weights_of_another_shape_are_refused() -> None:
    """Contract: the error names both shapes."""
    with pytest.raises(ValueError, match=r"\(2, 8, 9\), got \(2, 1, 8, 9\)"):
        AudioNetwork((8,))(torch.zeros(2, 1, 8, 9), torch.ones(2, 1, 8, 9))
