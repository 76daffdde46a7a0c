"""Audio: one clip of sound, as a machine or a voice gives it; odd by its bands and their course.

The network and what it learns by were chosen by measurement, AUROC of the detector (scorer
gaussian, descriptor squeeze_stats) over two seeds on four sets: spoken digits 3 and 6 against the
other digits and one speaker against another (learned from 40 clips), all in noise as loud as they
are, and strokes at an even pace against uneven ones (generated, learned from 150 clips)::

    bands alone (plain statistics)            0.90
    untrained network                         0.94
    what is hidden, restored                  0.97
    which change was made                     0.98
    both, which is what is done               0.98     0.985 against 0.977, within the seeds' spread

Without noise, plain statistics of the bands reach 0.99 and more on spoken digits, and so does this.
Networks that convolve over both axes (``models.families.audio``) were worse: 0.86 after restoring
what is hidden on the uneven strokes, where this one has 0.99.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import gcd
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, UInt8
from torch import nn

from detector.errors import DegenerateDataError, InvalidSpecError
from detector.kinds.kind import Axis, LearnedKind, Located, Shares
from detector.kinds.parsing import sound_file
from detector.kinds.pictures import spectrogram_picture
from models.kinds.band_network import BandNetwork, group_sizes
from models.kinds.sound_changes import SoundChanges
from models.kinds.standard_spectrogram import StandardLogMel, bels, levels
from models.plan import Plan
from models.self_supervision import Task
from models.spectrogram import LogMel, hertz, mel

BOUNDS = sound_file.Bounds(least_s=0.1, most_s=30.0, least_hz=4000, most_hz=192_000, channels=16)
GROUPS = 8
_LEAST_VARIATION = 1e-3
_RANGES = {
    "rate_hz": (4000, 48_000),
    "window_ms": (8, 100),
    "hop_ms": (2, 100),
    "mels": (32, 128),
}

_MOST_OVERLAP = 8  # frames that hear the same moment: more tell nothing new, and cost as much again

Waveform = Float[np.ndarray, " _"]


@dataclass(frozen=True, slots=True)
class AudioView:
    """How a clip is heard.

    Attributes:
        rate_hz: it is resampled to; half of it is the highest frequency that is heard.
        window_ms: length of a frame.
        hop_ms: from one frame to the next.
        mels: frequency bands.
        loudness: whether louder or softer as a whole is odd. By default it is not: a microphone
            that is moved, or another gain, must not raise an alarm; where both are fixed, say so.
    """

    rate_hz: int = 16_000
    window_ms: int = 32
    hop_ms: int = 16
    mels: int = 64
    loudness: bool = False

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InvalidSpecError(f"view {name!r} must be in {least}..{most}, got {value}")
        if self.hop_ms > self.window_ms:
            raise InvalidSpecError(
                f"view 'hop_ms' must be at most window_ms, {self.window_ms}, got {self.hop_ms}"
            )
        if self.hop_ms * _MOST_OVERLAP < self.window_ms:
            raise InvalidSpecError(
                f"view 'hop_ms' must be at least window_ms / {_MOST_OVERLAP}, "
                f"{-(-self.window_ms // _MOST_OVERLAP)}, got {self.hop_ms}"
            )
        try:
            self.spectrogram()
        except ValueError as error:
            raise InvalidSpecError(f"view: {error}") from error

    def spectrogram(self) -> LogMel:
        """Return what makes spectrograms. Raises ValueError if a band would hear nothing."""
        window, hop = (self.rate_hz * ms // 1000 for ms in (self.window_ms, self.hop_ms))
        return LogMel(self.rate_hz, window, hop, self.mels)


class Audio(LearnedKind[Waveform, AudioView]):
    """One clip of sound."""

    name = "audio"
    sample = "clip"
    media_types = (
        "audio/wav",
        "audio/x-wav",
        "audio/wave",
        "audio/vnd.wave",
        "audio/flac",
        "audio/x-flac",
        "audio/ogg",
    )
    suffixes = (".wav", ".flac", ".ogg", ".oga")
    limits: ClassVar[Mapping[str, float]] = {
        "least_seconds": BOUNDS.least_s,
        "most_seconds": BOUNDS.most_s,
        "least_rate_hz": BOUNDS.least_hz,
        "most_rate_hz": BOUNDS.most_hz,
        "most_channels": BOUNDS.channels,
    }
    View = AudioView
    most_samples = 500  # of the longest, 1 GB
    plan = Plan(batch=16, steps=40, rounds=12, patience=3)

    def require_installed(self) -> None:
        """Refuse to begin without soundfile. Raises InvalidSpecError."""
        if find_spec("soundfile") is None:
            raise InvalidSpecError(sound_file.ADVICE)

    def decode(self, content: bytes, view: AudioView) -> Waveform:
        """Return the waveform in a WAV, FLAC or Ogg file, one channel, at the view's rate.

        Raises:
            UndecodableSampleError, UnsupportedSampleError, SampleTooLargeError: as
                ``sound_file.read``.
        """
        samples, rate_hz = sound_file.read(content, BOUNDS)
        shared = gcd(rate_hz, view.rate_hz)
        if rate_hz != view.rate_hz:
            from scipy.signal import resample_poly  # takes a second to import

            samples = resample_poly(samples, view.rate_hz // shared, rate_hz // shared)
        waveform: Waveform = samples.astype(np.float32)
        return waveform

    def settings(self, samples: Sequence[Waveform], view: AudioView) -> dict[str, Any]:
        """Return mean and deviation of every band over the clips.

        Raises:
            DegenerateDataError: if nothing varies in them.
        """
        spectrogram = view.spectrogram()
        mean, deviation = levels(
            bels(sample, spectrogram, loudness=view.loudness) for sample in samples
        )
        if deviation.max() < _LEAST_VARIATION:
            raise DegenerateDataError(
                "the clips are silent, or the same at every moment: there is nothing to learn"
            )
        return {"mean": mean.tolist(), "deviation": deviation.tolist()}

    def network(
        self, view: AudioView, settings: Mapping[str, Any]
    ) -> tuple[nn.Module, StandardLogMel]:
        """Return the network over bands, and the standardised spectrogram."""
        preparation = StandardLogMel(
            view.spectrogram(),
            view.loudness,
            tuple(settings["mean"]),
            tuple(settings["deviation"]),
        )
        return BandNetwork(view.mels, groups=GROUPS), preparation

    def task(self, network: nn.Module, view: AudioView, settings: Mapping[str, Any]) -> Task:
        """Return the prediction of what was done to a clip, and its restoration."""
        assert isinstance(network, BandNetwork)
        return SoundChanges(network)

    def locate(self, sample: Waveform, view: AudioView, shares: Shares) -> tuple[Located, ...]:
        """Return one map of groups of bands by frames.

        The blocks over groups of bands tell when and in which group; the later ones, which hear all
        bands at once, tell when: their shares are spread over the groups evenly.
        """
        bands = [shares[f"bands.{at}"] for at in range(GROUPS) if f"bands.{at}" in shares]
        later = [values for name, values in shares.items() if not name.startswith("bands.")]
        frames = len((bands or later)[0])
        values = np.zeros((GROUPS, frames))
        for at in range(GROUPS):
            values[at] = shares.get(f"bands.{at}", 0.0)
        values += sum(later, np.zeros(frames)) / GROUPS
        seconds = (np.arange(frames) * view.hop_ms + view.window_ms / 2) / 1000
        axes = (
            Axis("frequency", "Hz", tuple(centres(view).tolist())),
            Axis("time", "s", tuple(seconds.round(4).tolist())),
        )
        return (Located("sound", axes, values),)

    def picture(
        self,
        sample: Waveform,
        view: AudioView,
        located: Sequence[Located],
        threshold: float | None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return the clip's spectrogram, high bands on top, with its odd places painted."""
        spectrogram = bels(sample, view.spectrogram(), loudness=view.loudness)
        sizes = group_sizes(view.mels, GROUPS)
        tips_hz = _tips(view)
        return spectrogram_picture.draw(
            spectrogram, tips_hz, view.hop_ms / 1000, located[0].values, sizes, threshold
        )


def _tips(view: AudioView) -> Float[np.ndarray, " mels"]:
    """Return the frequency that each band hears best."""
    top = mel(np.array([view.rate_hz / 2]))[0]
    tips: np.ndarray = hertz(np.linspace(0, top, view.mels + 2)[1:-1])
    return tips


def centres(view: AudioView) -> Float[np.ndarray, " groups"]:
    """Return the middle of each group of bands, in Hz."""
    ends = np.cumsum(group_sizes(view.mels, GROUPS))
    parts = np.split(_tips(view), ends[:-1])
    return np.array([part.mean() for part in parts]).round(1)


KIND = Audio()
