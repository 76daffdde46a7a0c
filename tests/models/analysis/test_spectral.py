"""Amplitude times support: what a squeeze over time and frequency tells apart, and what not."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from models.analysis.spectral import (
    amplitude_for,
    click,
    component,
    harmonicity,
    over_frequency,
    over_time,
    peak_over_mean,
    squeeze_of,
    tone,
)
from models.squeeze_excite import Excitation, Squeeze, SqueezeExcite
from models.squeezes import StatisticsSqueeze

SHAPE = (40, 100)
sides = st.integers(2, 12)
amplitudes = st.floats(1e-3, 1e3)


def as_batch(*spectrograms: torch.Tensor) -> torch.Tensor:
    """Spectrograms as a batch with one channel, (b, 1, f, t)."""
    return torch.stack(spectrograms)[:, None]


@given(amplitude=amplitudes, f=sides, t=sides, data=st.data())
def test_squeeze_is_amplitude_times_support(
    amplitude: float, f: int, t: int, data: st.DataObject
) -> None:
    """Reference: the block's own squeeze of a component, wherever it lies, equals A rho."""
    bins, frames = data.draw(st.integers(1, f)), data.draw(st.integers(1, t))
    first_bin, first_frame = (
        data.draw(st.integers(0, f - bins)),
        data.draw(st.integers(0, t - frames)),
    )

    spectrogram = component(
        amplitude,
        range(first_bin, first_bin + bins),
        range(first_frame, first_frame + frames),
        (f, t),
    )

    squeeze = Squeeze()(as_batch(spectrogram)).item()
    assert squeeze == pytest.approx(squeeze_of(amplitude, bins, frames, (f, t)), rel=1e-12)
    assert squeeze == pytest.approx(amplitude * bins * frames / (f * t), rel=1e-12)
    assert squeeze != pytest.approx(amplitude * (bins / f + frames / t), rel=1e-3)
    assert amplitude_for(squeeze, bins, frames, (f, t)) == pytest.approx(amplitude, rel=1e-12)


def test_a_faint_tone_and_a_loud_click_get_one_gate() -> None:
    """Law: with equal A rho the squeezes are equal, and so are all gates that follow from them."""
    faint = tone(0.5, range(4, 8), SHAPE)  # 4 of 40 bins: rho = 0.1
    loud = click(5.0, range(50, 51), SHAPE)  # 1 of 100 frames: rho = 0.01
    torch.manual_seed(0)
    block = SqueezeExcite(1, 1).double()
    x = as_batch(faint, loud)

    squeezes = block.squeeze(x)
    gates = block.excite(squeezes)

    torch.testing.assert_close(squeezes, torch.full((2, 1), 0.05, dtype=torch.float64))
    torch.testing.assert_close(gates[0], gates[1], rtol=0, atol=1e-14)


@given(squeeze=amplitudes, bins=st.integers(1, 40), frames=st.integers(1, 100))
def test_every_support_has_the_amplitude_that_hides_it(
    squeeze: float, bins: int, frames: int
) -> None:
    """Law: for any squeeze and any two supports there are amplitudes that make them one."""
    harmonic = tone(amplitude_for(squeeze, bins, 100, SHAPE), range(bins), SHAPE)
    percussive = click(amplitude_for(squeeze, 40, frames, SHAPE), range(frames), SHAPE)

    both = Squeeze()(as_batch(harmonic, percussive))[:, 0]

    torch.testing.assert_close(both, torch.full_like(both, squeeze), rtol=1e-9, atol=0)


def test_directional_squeezes_tell_them_apart() -> None:
    """Law: over time a tone is a peak and a click is flat; over frequency the reverse."""
    harmonic, percussive = tone(0.5, range(4, 8), SHAPE), click(5.0, range(50, 51), SHAPE)

    expected = torch.zeros(40, dtype=torch.float64)
    expected[4:8] = 0.5
    torch.testing.assert_close(over_time(harmonic), expected)
    torch.testing.assert_close(over_time(percussive), torch.full_like(expected, 5 / 100))

    expected = torch.zeros(100, dtype=torch.float64)
    expected[50] = 5.0
    torch.testing.assert_close(over_frequency(percussive), expected)
    torch.testing.assert_close(over_frequency(harmonic), torch.full_like(expected, 0.5 * 4 / 40))


def test_an_excitation_over_bins_gives_them_different_gates() -> None:
    """Law: told the squeeze over time, the same excitation separates what one number cannot."""
    torch.manual_seed(1)
    excite = Excitation(4, 1, inputs=40).double()
    pair = torch.stack([tone(0.5, range(4, 8), SHAPE), click(5.0, range(50, 51), SHAPE)])

    gates = excite(over_time(pair))

    assert (gates[0] - gates[1]).abs().max() > 1e-3


def test_deviation_tells_faint_from_loud_but_not_the_direction() -> None:
    """Law: std = A sqrt(rho (1 - rho)) sees the trade-off; of equal A and rho it sees nothing."""
    faint, loud = tone(0.5, range(4), SHAPE), click(5.0, range(1), SHAPE)
    equal = click(0.5, range(10), SHAPE)  # rho = 0.1, as the faint tone

    mean, std, maximum = StatisticsSqueeze()(as_batch(faint, loud, equal)).T

    torch.testing.assert_close(mean, torch.full_like(mean, 0.05))
    expected = [a * math.sqrt(rho * (1 - rho)) for a, rho in ((0.5, 0.1), (5, 0.01), (0.5, 0.1))]
    np.testing.assert_allclose(std.numpy(), expected, rtol=1e-12)
    assert maximum.tolist() == [0.5, 5.0, 0.5]
    assert harmonicity(faint) > 0 > harmonicity(equal)


@given(amplitude=amplitudes, f=sides, t=sides, data=st.data())
def test_ratios_are_free_of_the_amplitude(
    amplitude: float, f: int, t: int, data: st.DataObject
) -> None:
    """Law: f / bins over time, t / frames over frequency; their ratio's logarithm has the sign."""
    bins, frames = data.draw(st.integers(1, f)), data.draw(st.integers(1, t))
    spectrogram = component(amplitude, range(bins), range(frames), (f, t))

    assert peak_over_mean(over_time(spectrogram)).item() == pytest.approx(f / bins)
    assert peak_over_mean(over_frequency(spectrogram)).item() == pytest.approx(t / frames)
    expected = math.log((f / bins) / (t / frames))
    assert harmonicity(spectrogram).item() == pytest.approx(expected, abs=1e-9)


def test_agrees_with_median_filtering() -> None:
    """Reference: Fitzgerald's medians by SciPy keep the tone and the click that the ratios name."""
    for spectrogram in (tone(1.0, range(7, 8), SHAPE), click(1.0, range(20, 21), SHAPE)):
        across_frames = median_filter(spectrogram.numpy(), size=(1, 17)).sum()
        across_bins = median_filter(spectrogram.numpy(), size=(17, 1)).sum()
        assert (across_frames > across_bins) == (harmonicity(spectrogram).item() > 0)
        assert min(across_frames, across_bins) == 0


@pytest.mark.parametrize(
    ("bins", "frames", "message"),
    [
        (range(0), range(1), r"bins must be some of range\(40\), got range\(0, 0\)"),
        (range(39, 41), range(1), r"bins must be some of range\(40\)"),
        (range(1), range(-1, 2), r"frames must be some of range\(100\), got range\(-1, 2\)"),
    ],
)
def test_components_outside_are_refused(bins: range, frames: range, message: str) -> None:
    """Contract: the error names the range and what was given."""
    with pytest.raises(ValueError, match=message):
        component(1.0, bins, frames, SHAPE)
