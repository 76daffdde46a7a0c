"""Generated sound files that the tests of kind audio share."""

import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from detector.kinds.audio import AudioView

VIEW = AudioView()


def tone(seed: int, seconds: float = 0.4, rate_hz: int = 16_000) -> NDArray[np.float64]:
    """A tone in noise, some length and pitch."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate_hz * rng.uniform(0.8, 1.2))) / rate_hz
    wave = np.sin(2 * np.pi * rng.uniform(400, 450) * t) + 0.2 * rng.standard_normal(len(t))
    return 0.2 * wave


def file_of(
    wave: NDArray[Any], rate_hz: int = 16_000, kind: str = "WAV", subtype: str = "PCM_16"
) -> bytes:
    held = io.BytesIO()
    soundfile.write(held, wave, rate_hz, format=kind, subtype=subtype)
    return held.getvalue()


WHOLE = {
    "wav": file_of(tone(0)),
    "float": file_of(tone(0), subtype="FLOAT"),
    "wavex": file_of(tone(0), kind="WAVEX", subtype="PCM_24"),
    "flac": file_of(tone(0), kind="FLAC"),
    "vorbis": file_of(tone(0), kind="OGG", subtype="VORBIS"),
    "opus": file_of(tone(0), kind="OGG", subtype="OPUS"),
}
