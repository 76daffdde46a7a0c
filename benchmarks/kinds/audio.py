"""Clips of sound with a normal state, and what plain statistics of their spectrograms make of them.

========================  =====================================================================
set                       normal; what is odd
========================  =====================================================================
digit_N                   one spoken digit of both speakers; the nine others
speaker_NAME              one speaker, all digits; the other speaker
digit_N_in_noise          as above, every clip with white noise as strong as itself
speaker_NAME_in_noise     likewise, learned from a fifth of the clips
machine                   generated hum and hiss of a motor; ``ticks`` of a bearing, a ``tone``, a
                          ``beat``, one ``knock``
strokes                   generated strokes at an even pace; ``uneven`` ones, ``backwards`` ones
========================  =====================================================================

Of the spoken digits, takes 0 to 4 are tested and the others learned, by the rule of their origin.
Generated clips last 10 s at 16 kHz; a third of the normal motors has a soft bang of its own, and
all differ in pitch, mix and loudness. Everything is a function of (set, split, number).

The baselines are Gaussians (OAS) of standardised rows: over all frames of a clip, the mean of its
log-mel spectrogram, mean and deviation, and mean and deviation of 20 cepstral coefficients. They
hear the spectrogram that the network hears, free of loudness, with the same bands.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float
from scipy.fft import dct
from scipy.signal import lfilter, resample_poly
from sklearn.covariance import OAS
from sklearn.preprocessing import StandardScaler

from models.spectrogram import LogMel

KIND = "audio"
DIGITS, NOISY_DIGITS = (0, 3, 7), (3, 6)
RATE_HZ, SECONDS = 16_000, 10
TRAIN, GOOD, EACH = 120, 60, 25
_COEFFICIENTS = 20
_SPECTROGRAM = LogMel(RATE_HZ, window=512, hop=256, mels=64)

Sound = Float[np.ndarray, " _"]


def sets(shared: Path, out: Path) -> list[Path]:
    """Write train/good, test/good and test/ANOMALY of every set below ``out``; return them."""
    recordings = sorted((shared / "fsdd" / "recordings").glob("*.wav"))
    speakers = sorted({path.stem.split("_")[1] for path in recordings})
    folders = [
        *(_spoken(out / f"digit_{digit}", recordings, 0, str(digit)) for digit in DIGITS),
        *(_spoken(out / f"speaker_{name}", recordings, 1, name) for name in speakers),
        *(
            _spoken(out / f"digit_{digit}_in_noise", recordings, 0, str(digit), noise=True)
            for digit in NOISY_DIGITS
        ),
        *(
            _spoken(out / f"speaker_{name}_in_noise", recordings, 1, name, noise=True, every=5)
            for name in speakers
        ),
        _generated(out / "machine", motor, ("ticks", "tone", "beat", "knock")),
        _generated(out / "strokes", strokes, ("uneven", "backwards")),
    ]
    return folders


def _spoken(
    folder: Path,
    recordings: Sequence[Path],
    part: int,
    normal: str,
    *,
    noise: bool = False,
    every: int = 1,
) -> Path:
    """Write a set of spoken digits: part 0 of a name is the digit, 1 the speaker."""
    learned = 0
    for number, path in enumerate(recordings):
        name = path.stem.split("_")
        tested, value = int(name[2]) < 5, name[part]
        if not tested and value != normal:
            continue
        if not tested:
            learned += 1
            if learned % every:
                continue
        where = "train/good" if not tested else "test/good" if value == normal else f"test/{value}"
        clip, rate_hz = soundfile.read(path)
        if noise:
            hiss = np.random.default_rng(number).standard_normal(len(clip))
            clip = (clip + hiss * np.sqrt((clip**2).mean())) / 4
        _write(folder / where / path.name, clip, rate_hz)
    return folder


def _generated(folder: Path, make: object, anomalies: Iterable[str]) -> Path:
    assert callable(make)
    wanted = [("train/good", "", TRAIN), ("test/good", "", GOOD)]
    wanted += [(f"test/{anomaly}", anomaly, EACH) for anomaly in anomalies]
    for split, (where, anomaly, count) in enumerate(wanted):
        for number in range(count):
            clip = make(np.random.default_rng([split, number]), anomaly)
            _write(folder / where / f"{number:03d}.flac", clip, RATE_HZ)
    return folder


def _write(path: Path, clip: Sound, rate_hz: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(clip, -1, 1), rate_hz, subtype="PCM_16")


def _bang(rng: np.random.Generator, clip: Sound, second: float, decay_s: float) -> None:
    """Add decaying noise to a clip, from a second on."""
    start = int(second * RATE_HZ)
    t = np.arange(min(int(8 * decay_s * RATE_HZ), len(clip) - start)) / RATE_HZ
    clip[start : start + len(t)] += np.exp(-t / decay_s) * rng.standard_normal(len(t))


def motor(rng: np.random.Generator, anomaly: str) -> Sound:
    """Return ten seconds of a motor: harmonics of a speed that drifts, and noise that swells."""
    count = SECONDS * RATE_HZ
    t = np.arange(count) / RATE_HZ
    drift = 1 + 0.003 * np.cumsum(rng.standard_normal(count)) / np.sqrt(count)
    phase = 2 * np.pi * np.cumsum(rng.normal(48, 0.4) * drift) / RATE_HZ
    parts = {1: 1.0, 2: 0.6, 3: 0.8, 5: 0.3, 8: 0.4, 13: 0.3, 21: 0.15}
    clip: Sound = np.sum(
        [
            level * np.exp(rng.normal(0, 0.15)) * np.sin(k * phase + rng.uniform(0, 2 * np.pi))
            for k, level in parts.items()
        ],
        axis=0,
    )
    rumble = lfilter([0.25], [1, -0.9], rng.standard_normal(count))
    swell = 1 + 0.2 * np.sin(2 * np.pi * (rng.uniform(0.9, 1.1) * t + rng.uniform()))
    clip += (rumble + 0.1 * rng.standard_normal(count)) * swell
    if rng.random() < 1 / 3:
        soft = np.zeros(count)
        _bang(rng, soft, rng.uniform(0, 9), 0.05)
        clip += 0.15 * soft
    if anomaly == "ticks":
        ticks = np.zeros(count)
        for second in np.arange(rng.uniform(0, 0.1), SECONDS - 0.05, 1 / rng.uniform(7, 9)):
            _bang(rng, ticks, second, 0.003)
        clip += 0.15 * ticks
    elif anomaly == "tone":
        clip += 0.025 * np.sin(2 * np.pi * rng.uniform(2500, 3500) * t)
    elif anomaly == "beat":
        clip *= 1 + 0.15 * np.sin(2 * np.pi * rng.uniform(5, 7) * t)
    elif anomaly == "knock":
        loud = np.zeros(count)
        _bang(rng, loud, rng.uniform(1, 8), 0.02)
        clip += 0.6 * loud
    clip *= 0.05 * np.exp(rng.normal(0, 0.3))
    return clip


def strokes(rng: np.random.Generator, anomaly: str) -> Sound:
    """Return ten seconds of strokes, four a second, in soft noise."""
    clip: Sound = 0.05 * rng.standard_normal(SECONDS * RATE_HZ)
    period_s, second = rng.uniform(0.23, 0.27), rng.uniform(0, 0.2)
    while second < SECONDS - 0.1:
        _bang(rng, clip, second, 0.01)
        spread = 0.5 if anomaly == "uneven" else 0.02
        second += period_s * np.exp(rng.normal(0, spread))
    clip *= 0.2
    return clip[::-1] if anomaly == "backwards" else clip


def baseline(
    train: Sequence[Path], test: Sequence[Path], seed: int
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """Return scores of plain statistics, higher for what is odder; nothing of them is drawn."""
    learned, asked = ([_spectrogram(path) for path in paths] for paths in (train, test))
    rows = {
        "mean log-mel, Gaussian": lambda y: y.mean(axis=1),
        "mean and deviation of log-mel, Gaussian": lambda y: np.r_[y.mean(axis=1), y.std(axis=1)],
        "cepstral mean and deviation, Gaussian": _cepstrum,
    }
    return {
        name: _gaussian(np.stack([row(y) for y in learned]), np.stack([row(y) for y in asked]))
        for name, row in rows.items()
    }


def _spectrogram(path: Path) -> Float[np.ndarray, "mels frames"]:
    clip, rate_hz = soundfile.read(path)
    shared = gcd(rate_hz, RATE_HZ)
    if rate_hz != RATE_HZ:
        clip = resample_poly(clip, RATE_HZ // shared, rate_hz // shared)
    spectrogram: np.ndarray = _SPECTROGRAM.prepare(clip, RATE_HZ)
    return spectrogram


def _cepstrum(y: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, " d"]:
    coefficients = dct(y, axis=0, norm="ortho")[:_COEFFICIENTS]
    row: np.ndarray = np.r_[coefficients.mean(axis=1), coefficients.std(axis=1)]
    return row


def _gaussian(
    learned: Float[np.ndarray, "n d"], asked: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, " m"]:
    scale = StandardScaler().fit(learned)
    model = OAS().fit(scale.transform(learned))
    distances: np.ndarray = np.sqrt(model.mahalanobis(scale.transform(asked)))
    return distances
