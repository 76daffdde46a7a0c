"""A detector of sound with something to hear: a spindle that hums, and one whose bearing squeals.

What the service reads it with is the extra ``audio``.
"""

import io
import tempfile
import wave
from pathlib import Path

import numpy as np

from gatewatch import Client

SPINDLE = "spindle"
RATE_HZ, SECONDS = 16_000, 1.0
FITTED, CALIBRATED = 64, 60
HUM_HZ, SQUEAL_HZ = 180, 3_600


def populate(url: str) -> None:
    """Create, fit and calibrate a detector of normal clips."""
    with tempfile.TemporaryDirectory() as folder, Client(url) as client:
        here = Path(folder)
        client.create(SPINDLE, kind="audio")
        client.fit(SPINDLE, _folder(here / "normal", range(FITTED))).wait(progress=True)
        held_out = _folder(here / "held-out", range(10_000, 10_000 + CALIBRATED))
        client.calibrate(SPINDLE, held_out, threshold=0.02).wait(progress=True)


def example() -> dict[str, bytes]:
    """Return clips to be inspected, by name: one of a bad bearing first."""
    kinds = (True, False, False, True)
    return {f"spindle-{at}.wav": clip(50_000 + at, squeals=odd) for at, odd in enumerate(kinds)}


def clip(seed: int, *, squeals: bool = False) -> bytes:
    """Return a WAV file: a hum with overtones over noise, and for a while a squeal if it does."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    speed = HUM_HZ * rng.uniform(0.97, 1.03)
    sound = rng.normal(0, 0.02, len(seconds))
    for overtone in range(1, 8):
        phase = 2 * np.pi * (overtone * speed * seconds + rng.uniform())
        sound += 0.25 / overtone**1.5 * np.sin(phase)
    if squeals:
        begin = rng.uniform(0.3, 0.5)
        squeal = np.sin(2 * np.pi * SQUEAL_HZ * seconds) * (1 + np.sin(2 * np.pi * 30 * seconds))
        sound += 0.08 * squeal * ((seconds > begin) & (seconds < begin + 0.25))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.rint(np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()


def _folder(folder: Path, seeds: range) -> Path:
    folder.mkdir()
    for seed in seeds:
        (folder / f"{seed:05}.wav").write_bytes(clip(seed))
    return folder
