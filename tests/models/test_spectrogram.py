"""Log-mel preparation: against SciPy's STFT and a naive mel bank, loudness, batches."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, chirp, get_window

from models.families.audio import AudioNetwork
from models.preprocess import Preparation
from models.spectrogram import FLOOR, LogMel, hertz, mel, mel_bank


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def naive_bank(mels: int, window: int, rate_hz: int) -> NDArray[np.float64]:
    """Triangles, one value at a time, from the formula in the module's docstring."""
    top = 2595 * math.log10(1 + rate_hz / 2 / 700)
    feet = [700 * (10 ** (top * i / (mels + 1) / 2595) - 1) for i in range(mels + 2)]
    bank = np.zeros((mels, window // 2 + 1))
    for m in range(mels):
        for k in range(window // 2 + 1):
            hz = k * rate_hz / window
            if feet[m] < hz <= feet[m + 1]:
                bank[m, k] = (hz - feet[m]) / (feet[m + 1] - feet[m])
            elif feet[m + 1] < hz < feet[m + 2]:
                bank[m, k] = (feet[m + 2] - hz) / (feet[m + 2] - feet[m + 1])
    return bank


@pytest.mark.parametrize(("mels", "window", "rate"), [(40, 256, 8000), (5, 33, 16000), (1, 8, 100)])
def test_bank_equals_naive_twin(mels: int, window: int, rate: int) -> None:
    """Reference: the triangles in plain Python; rtol 1e-9."""
    bank = mel_bank(mels, window, rate)

    np.testing.assert_allclose(bank, naive_bank(mels, window, rate), rtol=1e-9, atol=1e-12)
    assert not bank.flags.writeable  # it is shared by all callers


def test_a_thousand_hertz_are_a_thousand_mels() -> None:
    """Reference: the scale is laid so that 1000 Hz are 1000 mel; its inverse undoes it."""
    hz = np.array([0.0, 440.0, 1000.0, 4000.0])

    assert mel(hz)[[0, 2]] == pytest.approx([0, 1000], abs=0.02)
    np.testing.assert_allclose(hertz(mel(hz)), hz, atol=1e-9)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**31),
    samples=st.integers(256, 1500),
    window=st.sampled_from([128, 255, 256]),
    hop=st.integers(1, 300),
)
def test_equals_scipys_stft(seed: int, samples: int, window: int, hop: int) -> None:
    """Reference: scipy.signal.ShortTimeFFT, the naive bank, and the logarithm; 1e-5."""
    waveform = noise(samples, seed)

    actual = LogMel(8000, window, hop, mels=12).prepare(waveform, 8000)

    hann = get_window("hann", window)
    stft = ShortTimeFFT(hann, hop, fs=8000, scale_to=None)
    whole = 1 + (samples - window) // hop
    middle = stft.m_num_mid  # SciPy's slices are centred on their position
    double = waveform.astype(np.float64)
    power = stft.spectrogram(double, p0=0, p1=whole, k_offset=middle)
    energies = naive_bank(12, window, 8000) @ power
    bels = np.log10(energies / energies.mean() + 1e-6)
    assert actual.shape == (12, whole)
    np.testing.assert_allclose(actual, bels - bels.mean(), rtol=0, atol=1e-5)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), exponent=st.floats(-4, 4))
def test_loudness_is_gone(seed: int, exponent: float) -> None:
    """Law: a clip 10^-4 to 10^4 times as loud has the same spectrogram, to rounding; mean 0."""
    prepare, waveform = LogMel().prepare, noise(1000, seed)

    louder = prepare((waveform.astype(np.float64) * 10**exponent).astype(np.float32), 8000)

    np.testing.assert_allclose(louder, prepare(waveform, 8000), rtol=0, atol=1e-4)
    assert abs(louder.mean()) < 1e-5


def test_timbre_is_not_gone() -> None:
    """Law: what distinguishes clips of equal level is kept; a tone lights its own band."""
    t = np.arange(2000) / 8000
    for hz in (500.0, 1000.0, 3000.0):
        bands = LogMel().prepare(np.sin(2 * np.pi * hz * t).astype(np.float32), 8000).mean(axis=1)
        tips = hertz(np.linspace(*mel(np.array([0.0, 4000.0])), 42))[1:-1]
        assert abs(int(bands.argmax()) - int(abs(tips - hz).argmin())) <= 1


def test_time_runs_along_the_frames() -> None:
    """Law: of a rising chirp, the loudest band rises from frame to frame."""
    t = np.arange(8000) / 8000
    rising = LogMel().prepare(chirp(t, 200, 1, 3500).astype(np.float32), 8000).argmax(axis=0)

    assert (np.diff(rising) >= 0).mean() > 0.95
    assert rising[-1] - rising[0] > 20


def test_silence_is_nothing() -> None:
    """Contract: no logarithm of zero, and no warning; what is quiet is floored at 60 dB."""
    assert not LogMel().prepare(np.zeros(400, np.float32), 8000).any()

    click = np.zeros(4000, np.float32)
    click[128] = 1
    prepared = LogMel().prepare(click, 8000)
    assert prepared.dtype == np.float32
    assert prepared.min() == pytest.approx(prepared[:, -1], abs=1e-5)
    assert prepared.max() - prepared.min() < 4 + abs(math.log10(FLOOR))


@pytest.mark.parametrize(
    ("waveform", "rate_hz", "message"),
    [
        (noise(1000), 16000, "must have 8000 Hz, got 16000 Hz"),
        (noise(1000).reshape(2, 500), 8000, r"shape \(t,\), got \(2, 500\)"),
        (noise(255), 8000, "256 samples or more, got 255"),
        (np.full(300, np.nan, np.float32), 8000, "finite"),
        (np.full(300, np.inf, np.float32), 8000, "finite"),
    ],
)
def test_bad_waveforms_are_refused(
    waveform: NDArray[np.float32], rate_hz: int, message: str
) -> None:
    """Contract: the error names what is wrong."""
    with pytest.raises(ValueError, match=message):
        LogMel().prepare(waveform, rate_hz)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"hop": 0}, r"1 or more, got \(8000, 256, 0, 40\)"),
        ({"window": -1}, "1 or more"),
        ({"mels": 120}, "of 120 mels would hear no bin of a window of 256 samples at 8000 Hz"),
    ],
)
def test_impossible_settings_are_refused(settings_: dict[str, int], message: str) -> None:
    """Contract: the error names the setting; a band that hears nothing is no band."""
    with pytest.raises(ValueError, match=message):
        LogMel(**settings_)


def test_is_a_preparation_whose_name_tells_its_settings() -> None:
    """Contract: the protocol of ``models.preprocess``; ``str()`` enters the fingerprint."""
    preparation = LogMel(hop=100)

    assert isinstance(preparation, Preparation)
    assert str(preparation) == "LogMel(rate_hz=8000, window=256, hop=100, mels=40)"
    assert preparation.blank().shape[0] == 40


def test_inputs_are_padded_to_the_longest() -> None:
    """Law: each clip's own frames come first, unchanged; weights are 1 there and 0 beyond."""
    preparation = LogMel()
    clips = [preparation.prepare(noise(samples), 8000) for samples in (300, 2000, 1111)]

    (x, weights), regions = preparation.inputs(clips, torch.device("cpu"))

    assert regions is None
    assert x.shape == (3, 1, 40, clips[1].shape[1])
    assert x.dtype is weights.dtype is torch.float32
    for row, counts, clip in zip(x, weights, clips, strict=True):
        frames = clip.shape[1]
        np.testing.assert_array_equal(row[0, :, :frames].numpy(), clip)
        assert counts[:, :frames].eq(1).all()
        assert not counts[:, frames:].any()
        assert not row[:, :, frames:].any()


def test_a_network_hears_every_clip_as_alone() -> None:
    """Law: batch = alone, from prepared samples to logits; float32, 1e-5."""
    torch.manual_seed(0)
    preparation, network = LogMel(), AudioNetwork((8, 16)).eval().requires_grad_(False)
    clips = [preparation.prepare(noise(samples), 8000) for samples in (256, 2000, 1111)]
    device = torch.device("cpu")

    together = network(*preparation.inputs(clips, device)[0])

    for logits, clip in zip(together, clips, strict=True):
        alone = network(*preparation.inputs([clip], device)[0])
        torch.testing.assert_close(logits[None], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(39, 10), (40, 0), (40,)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names the wanted and the given shape."""
    sample = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=r"\(40, frames\), got \("):
        LogMel().inputs([sample], torch.device("cpu"))


def test_thumbnails_are_each_their_own() -> None:
    """Law: alone or in company, the same picture: grey, high bands on top, from black to white."""
    preparation = LogMel()
    low = np.sin(2 * np.pi * 300 * np.arange(4000) / 8000).astype(np.float32)
    clips = [preparation.prepare(wave, 8000) for wave in (low, noise(1000), noise(300))]
    clips.append(preparation.blank())

    pictures = preparation.thumbnails(clips)

    assert pictures.shape == (4, 3, 64, 64)
    assert pictures.dtype == np.uint8
    for picture, clip in zip(pictures, clips, strict=True):
        np.testing.assert_array_equal(preparation.thumbnails([clip])[0], picture)
    assert (pictures[:, 0] == pictures[:, 2]).all()
    assert pictures[0, 0, 48:].mean() > pictures[0, 0, :16].mean() + 50
    assert not pictures[3].any()


def test_blocks_of_frames_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: however few frames are transformed at once, 1e-12; memory is a block's."""
    preparation, waveform = LogMel(8000, 256, 80, mels=12), noise(8000)
    whole = preparation.energies(waveform, 8000)
    most = []
    real = LogMel._power

    def spy(self: LogMel, frames: NDArray[np.float32]) -> NDArray[np.float64]:
        most.append(frames.size)
        return real(self, frames)

    monkeypatch.setattr(LogMel, "_power", spy)
    monkeypatch.setattr("models.spectrogram._BLOCK_SAMPLES", 7 * 256)
    np.testing.assert_allclose(preparation.energies(waveform, 8000), whole, rtol=1e-12)
    assert max(most) <= 7 * 256
    assert sum(most) == 256 * whole.shape[1]
